"""Ids, checks and tags are part of pytest's own names, so none of them may be secret."""

from datetime import date

import pytest

from opscheck.policy.draft import read_policy
from opscheck.policy.errors import PolicyError

POLICY = """
version: 1
environment: test
public_variables: [REGION]
targets:
  cache: {kind: redis, url: "redis://cache"}
expectations:
  - {id: "cache-%s", check: redis.ping, target: cache, severity: P1, tags: ["%s"]}
"""
VALUES = {"SECRET": "geheimnis", "REGION": "eu"}


def read(tmp_path, name):
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY % (name, name))
    return read_policy(path, environ=VALUES)


def test_a_secret_id_and_a_secret_tag_are_refused_without_showing_them(tmp_path):
    with pytest.raises(PolicyError) as error:
        read(tmp_path, "${SECRET}").finish(today=date(2026, 3, 1))

    text = str(error.value)
    assert "id: expected a public name" in text
    assert "tags[0]: expected a public name" in text
    assert "geheimnis" not in text


@pytest.mark.parametrize("name", ["${REGION}", "${UNSET:-eu}", "eu"])
def test_a_public_variable_a_default_and_a_plain_word_may_name_an_expectation(tmp_path, name):
    policy = read(tmp_path, name).finish(today=date(2026, 3, 1))

    assert "cache-eu" == policy.expectations[0].id
