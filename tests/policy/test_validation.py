"""A validator's errors become plain sentences, whatever a team's own models are made of."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from opscheck import Count, Duration, Expectation, Graded, Percentage
from opscheck.core.registry import Registry


class Rule(BaseModel):
    """How one thing is compared."""

    model_config = ConfigDict(extra="forbid")

    equals: str
    within: Duration | None = None


class Everything(Expectation, check="acme.everything"):
    """One field of each sort."""

    text: str = Field(default="", max_length=9)
    word: str = Field(default="one", min_length=1, pattern="^[a-z]*$")
    number: float = Field(default=1, gt=0, le=10)
    whole: int = Field(default=1, ge=1, lt=5)
    switch: bool = False
    of: Literal["nodes", "pods"] = "nodes"
    names: tuple[str, ...] = Field(default=("one",), min_length=1, max_length=2)
    codes: int | list[int] = 200
    rule: str | Rule = "one"
    rules: dict[str, Rule] = Field(default={})
    used: Graded[Percentage] | None = None
    amounts: dict[str, Count] = Field(default={})
    secret: SecretStr = SecretStr("")
    headers: dict[str, SecretStr] = Field(default={})
    even: int = 2
    anything: Any = None
    aliased: Annotated[int, Field(alias="in")] = 0

    @field_validator("even")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("an even number keeps the balance")
        return value


@pytest.fixture
def told(refusal):
    """What is said of one field, without its place."""
    registry = Registry.bundled()
    registry.add(Everything)

    def told(field: str) -> list[str]:
        text = refusal(
            f"""
version: 1
environment: production
expectations:
  - id: one
    check: acme.everything
    severity: P1
    {field}
""",
            registry=registry,
        )
        return [line.partition("]")[2] for line in text.splitlines()]

    return told


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ("text: 5", '.text: expected text, got 5; write it in quotes: "5"'),
        ("text: yes indeed it is", '.text: expected text of at most 9 characters, got "yes indeed it is"'),
        ("text: [a]", ".text: expected text, got a list"),
        ("word: ''", '.word: expected text that is not empty, got ""'),
        ("word: A", '.word: expected text that matches ^[a-z]*$, got "A"'),
        ("number: many", '.number: expected a number, got "many"'),
        ("number: 0", ".number: expected more than 0, got 0"),
        ("number: 10.5", ".number: expected 10 or less, got 10.5"),
        ("whole: 1.5", ".whole: expected a whole number, got 1.5"),
        ("whole: 0", ".whole: expected 1 or more, got 0"),
        ("whole: 5", ".whole: expected less than 5, got 5"),
        ("switch: maybe", '.switch: expected true or false, got "maybe"'),
        ("of: pod", '.of: expected nodes or pods, got "pod"; did you mean pods?'),
        ("of: {a: b}", ".of: expected nodes or pods, got a mapping"),
        ("names: one", '.names: expected a list, got "one"'),
        ("names: []", ".names: expected at least 1 item, got an empty list"),
        ("names: [a, b, c]", ".names: expected at most 2 items, got a list"),
        ("names: [a, 2]", '.names[1]: expected text, got 2; write it in quotes: "2"'),
        ("codes: ok", '.codes: expected a whole number or a list, got "ok"'),
        ("codes: [200, ok]", '.codes[1]: expected a whole number, got "ok"'),
        ("rule: 5", '.rule: expected text or a mapping, got 5; write it in quotes: "5"'),
        ("rule: {}", ".rule: the key `equals` is missing"),
        ("rule: {equals: a, within: 5}", f".rule.within: expected {Duration.noun}, got 5; did you mean 5s?"),
        ("rules: {a: {equal: x, equals: y}}", ".rules.a.equal: unknown key; did you mean equals?"),
        ("used: 75", ".used: expected a percentage such as 75%, got 75; did you mean 75%?"),
        ("used: [75%]", ".used: expected a percentage such as 75%, got a list"),
        ("used: {P1: {P2: 75%}}", ".used.P1: expected a percentage such as 75%, got a mapping"),
        ("amounts: {a: -1}", ".amounts.a: expected 0 or more, got -1"),
        ("amounts: {a: true}", ".amounts.a: expected a whole number, such as 5, got true"),
        ("secret: 12345", ".secret: expected text"),
        ("headers: {a: 12345}", ".headers.a: expected text"),
        ("even: 3", ".even: an even number keeps the balance, got 3"),
        ("in: many", '.in: expected a whole number, got "many"'),
        ("aliased: 3", ".aliased: unknown key; "),
        ("text:", ".text: expected a value, got nothing; leave the key out where there is nothing to say"),
    ],
)
def test_field_error_is_one_plain_sentence(told, field, sentence):
    (line,) = told(field)

    assert line.startswith(sentence) if sentence.endswith("; ") else line == sentence


def test_only_an_optional_field_may_be_null(load):
    registry = Registry.bundled()
    registry.add(Everything)
    text = "{version: 1, environment: x, expectations: [{id: a, check: acme.everything, severity: P1, anything: null}]}"

    assert load(text, registry=registry).expectations[0].anything is None


def test_a_long_value_is_shortened(told):
    (line,) = told("of: " + "x" * 500)

    assert line == f'.of: expected nodes or pods, got "{"x" * 60}..."'
