"""The reference of checks: what `opscheck checks` prints, and what the pages of the documentation are made of."""

import json
from enum import Enum
from functools import cache
from typing import Literal

import pytest
from pydantic import BaseModel

from opscheck.check_reference import CheckPage, check_page, checks_json, checks_text, page_json, page_text, type_text
from opscheck.core.exit_codes import UserError
from opscheck.core.expectation import Expectation
from opscheck.core.field_types import CountLeft, ShareUsed
from opscheck.core.registry import Registry
from opscheck.core.units import ByteSize, Count, Duration, Graded, Severity
from opscheck.systems.http.target import HttpTarget

REGISTRY = Registry.bundled()


@cache
def page_of(name: str) -> CheckPage:
    return check_page(name, REGISTRY, {})


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Part(BaseModel):
    size: int


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (str, "text"),
        (bool, "true or false"),
        (Count, "whole number"),
        (Duration, "duration"),
        (ByteSize | None, "byte size"),
        (Literal["first", "last"], "`first` or `last`"),
        (Colour, "`red` or `blue`"),
        (Severity, "P0, P1, P2 or P3"),
        (tuple[str, ...], "list of text"),
        (dict[str, Part], "mapping of text to mapping"),
        (str | tuple[str, ...], "text or list of text"),
        (HttpTarget, "name of a target of kind http or prometheus"),
        (ShareUsed | None, "limit (at most): percentage, such as {P2: 75%, P1: 90%}"),
        (CountLeft, "limit (at least): whole number, such as {P2: 10, P1: 5}"),
        (Graded[Duration], "limit (at most): duration, such as {P2: 15m, P1: 1h}"),
        (Graded[float], "limit (at most): number, such as {P2: 5, P1: 10}"),
    ],
)
def test_type_is_named_as_in_policies(annotation, text):
    assert text == type_text(annotation, REGISTRY)


def test_list_has_every_check_with_its_claim_by_system():
    text = checks_text(REGISTRY, {})

    assert [line for line in text.splitlines() if line and not line.startswith(" ")] == sorted(
        {name.partition(".")[0] for name in REGISTRY.checks}
    )
    listed = json.loads(checks_json(REGISTRY, {}))
    assert "opscheck.checks/v1" == listed["schema"]
    assert REGISTRY.checks == [one["check"] for one in listed["checks"]]
    for one in listed["checks"]:
        assert one["claim"]
        assert " ".join([one["check"], one["claim"]]) in " ".join(text.split())


@pytest.mark.parametrize("name", REGISTRY.checks)
def test_every_field_has_a_text_and_a_type(name):
    page = page_of(name)

    assert [field.name for field in page.fields if not (field.text or field.name == "target") or not field.type] == []
    assert [field.name for field in page.fields if field.name in Expectation.model_fields] == []
    required = [field.required for field in page.fields if "." not in field.name]
    assert sorted(required, reverse=True) == required


def test_page_has_every_part_of_an_expectation():
    text = page_text(page_of("postgres.connections"))

    assert text.startswith("postgres.connections: ")
    for part in (
        "  used  (limit (at most): percentage, such as {P2: 75%, P1: 90%}; optional)\n",
        "  target  (name of a target of kind postgres; required)\n",
        "Permissions of the example\n  GRANT pg_read_all_stats",
        "Remedies\n",
        "  {{ application }}: ",
        "Example\n  version: 1\n  environment: production\n  targets:\n    database: {kind: postgres",
        "      check: postgres.connections\n",
        "checks/postgres/test_connections.py:",
    ):
        assert part in text


def test_check_that_writes_is_marked():
    assert "runs only with --drill" in page_text(page_of("recovery.drill"))
    assert "--drill" not in page_text(page_of("redis.ping"))


def test_page_as_json_has_the_same():
    page = json.loads(page_json(page_of("backup.objects")))

    assert ("opscheck.checks/v1", "backup.objects") == (page["schema"], page["name"])
    assert ["manifest.key", "manifest.time"] == [
        field["name"] for field in page["fields"] if field["name"].startswith("manifest.")
    ]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("postgres.conections", "no check is named postgres.conections; did you mean postgres.connections?"),
        ("acme.queue", "no check is named acme.queue; `opscheck checks` lists them"),
    ],
)
def test_unknown_check_suggests_the_nearest(name, hint):
    with pytest.raises(UserError) as error:
        check_page(name, REGISTRY, {})

    assert hint == str(error.value)
