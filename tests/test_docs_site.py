"""The documentation site: policies in its pages are valid, and each check has a whole page."""

import re
import sys
from collections.abc import Iterator

import pytest

from opscheck.inspection import read
from tests.test_check_reference import REGISTRY, page_of
from tests.test_docs_paths import PAGES, ROOT

sys.path.insert(0, str(ROOT / "docs" / "_ext"))

from generated_pages import HEADINGS, markdown

CHECKS = REGISTRY.checks

_POLICY = re.compile(r"^```yaml\n((?:#[^\n]*\n)?version:.*?)^```", re.DOTALL | re.MULTILINE)
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
