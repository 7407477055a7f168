"""What a policy may say of targets."""

import pytest
from pydantic import ValidationError

from opscheck import HostTarget, HttpTarget, PostgresTarget, RedisTarget


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (HttpTarget, {"kind": "http", "base_url": "http://h"}),
        (PostgresTarget, {"kind": "postgres", "dsn": "postgres://h"}),
        (HostTarget, {"kind": "host", "uri": "local://"}),
    ],
)
def test_a_target_that_may_be_asked_nothing_at_a_time_would_never_answer(kind, fields):
    with pytest.raises(ValidationError):
        kind(**fields, concurrency=0)


def test_commands_can_name_an_api_without_its_credentials():
    api = HttpTarget(kind="http", base_url="https://ops:geheim@api.example.com/")

    assert {"base_url": "https://api.example.com"} == api.facts()


def test_commands_can_name_a_data_store_as_opscheck_reaches_it():
    url = "redis://:geheim@cache.example:6379/0"

    assert {"url": url} == RedisTarget(kind="redis", url=url).facts()
    assert {"dsn": "dbname=shop"} == PostgresTarget(kind="postgres", dsn="dbname=shop").facts()
