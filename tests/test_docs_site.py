"""The documentation site: policies in its pages are valid, and each check has a whole page."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from opscheck.inspection import read
from tests.test_check_reference import REGISTRY, page_of
from tests.test_docs_paths import PAGES, ROOT

sys.path.insert(0, str(ROOT / "docs" / "_ext"))

from generated_pages import HEADINGS, markdown

CHECKS = REGISTRY.checks

_POLICY = re.compile(r"^```yaml\n((?:#[^\n]*\n)?version:.*?)^```", re.DOTALL | re.MULTILINE)
_YAML = re.compile(r"^```yaml\n(.*?)^```", re.DOTALL | re.MULTILINE)
SECTIONS = {"version", "targets", "expectations", "severities", "escalation", "waivers"}
_EXTENDED = re.compile(r"\w+\.yaml")


def policies() -> Iterator[pytest.ParameterSet]:
    """
    Every policy in a page with the first one of the page, which is what it extends where it extends another.

    One that uses a distribution which is not installed here is left out.
    """
    for page in PAGES:
        found = [one for one in _POLICY.findall(page.read_text(encoding="utf-8")) if "\nuses:" not in one]
        for number, policy in enumerate(found, 1):
            yield pytest.param(policy, found[0], id=f"{page.relative_to(ROOT)}-{number}")


@pytest.mark.parametrize(("policy", "first"), list(policies()))
def test_policy_in_a_page_is_valid(policy, first, tmp_path):
    for extended in _EXTENDED.findall(policy.partition("expectations:")[0]):
        (tmp_path / extended).write_text(first)
    file = tmp_path / "policy.yaml"
    file.write_text(policy)

    assert read(file, ()).policy.expectations


def fragments(page: Path) -> list[Any]:
    """The parts of policies that a page shows: lists of expectations, and mappings with some sections of a policy."""
    found = [yaml.safe_load(text) for text in _YAML.findall(page.read_text(encoding="utf-8"))]
    expectations = [one for one in found if isinstance(one, list) and "check" in one[0]]
    sections = [one for one in found if isinstance(one, dict) and one.keys() <= SECTIONS - {"version"}]
    return [*sections, *({"expectations": one} for one in expectations)]


@pytest.mark.parametrize("page", [page for page in PAGES if fragments(page)], ids=lambda page: page.name)
def test_parts_of_policies_in_a_page_are_a_valid_policy(page, tmp_path):
    whole: dict[str, Any] = {"version": 1, "environment": "production"}
    for part in fragments(page):
        for key, value in part.items():
            whole[key] = {**whole.get(key, {}), **value} if isinstance(value, dict) else whole.get(key, []) + value
    waived = [waiver["id"] for waiver in whole.get("waivers", ())] or ["certificate"]
    endpoint = {"check": "tls.certificate", "endpoint": "shop.example.com:443"}
    whole.setdefault("expectations", [{"id": name, **endpoint} for name in waived])
    file = tmp_path / "policy.yaml"
    file.write_text(yaml.safe_dump(whole))

    assert read(file, ()).policy.expectations


@pytest.mark.parametrize("name", CHECKS)
def test_page_of_a_check_is_whole_and_its_example_is_valid(name, tmp_path):
    page = markdown(page_of(name))
    (example,) = _POLICY.findall(page)
    file = tmp_path / "policy.yaml"
    file.write_text(example)

    assert [heading for heading in HEADINGS if f"## {heading}\n" not in page] == []
    assert [one.check for one in read(file, ()).policy.expectations] == [name]


def test_page_without_an_example_is_an_error():
    page = page_of("redis.ping")
    without = type(page)(**{**vars(page), "example": None})

    with pytest.raises(ValueError, match=r"redis\.ping has nothing below: Queries and permissions, Example"):
        markdown(without)
