"""Remediation commands: shell text in which `{{ name }}` is replaced by a quoted value."""

import re
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from enum import Enum
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from opscheck.core.expectation import Expectation
from opscheck.core.record import Finding
from opscheck.core.redaction import Secrets
from opscheck.core.remedy import Words, fact_text
from opscheck.core.shell import REFERENCE, Place, place_after, written
from opscheck.core.target import Target

FINDING_NAMES: Mapping[str, str] = {
    "id": "the expectation's id",
    "title": "the expectation in one sentence",
    "environment": "the policy's environment",
    "severity": "the severity of the finding",
    "subject": "the pod, path, mount or server the finding is about",
    "observed": "the observed state",
    "expected": "the expected state",
}
"""Names that every command may use, each with its meaning."""

_PLACEHOLDER = re.compile(r"\{\{[ \t]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*\}\}")
_OPENED = re.compile(r"\{\{.*?(?:\}\}|$)", re.DOTALL)
_STAND_IN = "_"


def placeholders(command: str) -> list[str]:
    """The placeholders of `command`, each once, in their order."""
    return list(dict.fromkeys(_PLACEHOLDER.findall(command)))


def render(command: str, facts: Mapping[str, str], secrets: Secrets | None = None) -> str | None:
    """
    `command` with each placeholder replaced by its fact, quoted as one word of the shell, or as its several words.

    A secret in a fact becomes the `${NAME}` it came from, and that alone is left for the shell to expand.
    None when there is nothing safe and complete to type: a fact is missing, the template is malformed, a value
    that starts with a dash would be taken as an option, or a second language (`awk`, `watch`) would read anything
    but plain characters.
    """
    # A policy may write "${DATABASE_URL}" in a command, which is already replaced by its value here. The quotes in that
    # value are not in the copied command, so they must not count for the position of another value.
    command = secrets.clean(command) if secrets else command
    if _faults(command):
        return None
    rendered, end = "", 0
    for match, place in _places(command):
        fact, before, next_end = facts.get(match[1]), command[end : match.start()], match.end()
        value = None if fact is None else _written(fact, place, command[next_end : next_end + 1], secrets)
        if value is None:
            return None
        if not value:  # no words: one of the blanks around them goes too
            next_end += command.startswith(" ", next_end)
            before = before if next_end > match.end() else before.removesuffix(" ")
        rendered += before + value
        end = next_end
    return rendered + command[end:]


@lru_cache(maxsize=1024)  # the same few commands are rendered for every finding
def _faults(command: str) -> tuple[str, ...]:
    left = _PLACEHOLDER.sub("…", command)
    unread = [
        f"`{opened}` is not a placeholder; a placeholder is one name, such as {{{{ subject }}}}, and `{{{{` itself is "
        "written {''{"
        for opened in _OPENED.findall(left)
    ]
    misplaced = [f"`{match[0]}` {place.fault}" for match, place in _places(command) if place.fault]
    return (*unread, *misplaced)


def _written(fact: str, place: Place, after: str, secrets: Secrets | None) -> str | None:
    if not isinstance(fact, Words):
        return written(_pieces(fact, secrets), place)
    if place.word or after.strip(" ;|&)\n"):
        return None  # several words cannot be part of one
    behind_dashes = replace(place, words=(*place.words, "--"))  # options are meant here
    texts = [written(_pieces(word, secrets), behind_dashes) for word in fact.words]
    return None if None in texts else " ".join(filter(None, texts))


def malformed(command: str) -> list[str]:
    """The faults in how `command` is written, a sentence for each; empty when it can be rendered."""
    return list(_faults(command))


def missing_facts(finding: Finding, expectation: Expectation) -> set[str]:
    """The names in the commands that `finding` brings for which neither it nor its expectation has a value."""
    known = {*FINDING_NAMES, *expectation_facts(expectation), *finding.facts}
    return {name for command in finding.remediation.commands for name in placeholders(command)} - known


def unknown_names(command: str, expectation: Expectation) -> list[tuple[str, str | None]]:
    """The names in `command` that no finding of `expectation` can have, each with the most similar known name."""
    known = known_names(expectation)
    unknown = (name for name in placeholders(command) if name not in known)
    return [(name, next(iter(get_close_matches(name, known, n=1)), None)) for name in unknown]


def known_names(expectation: Expectation) -> list[str]:
    """The names that a remediation command of `expectation` may use, sorted."""
    target, kind = expectation.system, type(expectation)
    return sorted(
        {*FINDING_NAMES, *_scalar_fields(kind), *kind.fact_names, *kind.former_fact_names}
        | (_target_facts(target) if target else set())
    )


def expectation_facts(expectation: Expectation) -> dict[str, str]:
    """The facts that `expectation` and its target give to every one of its findings."""
    target = expectation.system
    fields = {name: getattr(expectation, name) for name in _scalar_fields(type(expectation))}
    known = {name: value for name, value in fields.items() if isinstance(value, str | int | float | Enum)}
    return {name: fact_text(value) for name, value in {**(target.facts() if target else {}), **known}.items()}


@lru_cache(maxsize=1024)
def _places(command: str) -> tuple[tuple[re.Match[str], Place], ...]:
    return tuple(
        (match, place_after(_PLACEHOLDER.sub(_STAND_IN, command[: match.start()])))
        for match in _PLACEHOLDER.finditer(command)
    )


def _pieces(value: str, secrets: Secrets | None) -> list[str]:
    """Split `value` into text and the references that redaction put into it: text, reference, text, and so on."""
    if secrets is None:
        return [value]
    # A `${HOME}` that was in the value itself must not be taken for a reference, so its `$` is marked meanwhile.
    mark = next(letter for letter in map(chr, range(0xE000, 0xF8FF)) if letter not in value)
    cleaned = secrets.clean(value.replace("${", mark + "{"))
    texts = [text.replace(mark, "$") for text in REFERENCE.split(cleaned)]
    pieces = [""] * (2 * len(texts) - 1)
    pieces[::2] = [secrets.clean(text) for text in texts]
    pieces[1::2] = REFERENCE.findall(cleaned)
    return pieces


def _target_facts(target: Target) -> set[str]:
    """The facts of a target of this kind, including those of omitted optional fields."""
    left_out = {
        name: name
        for name, field in type(target).model_fields.items()
        if getattr(target, name) is None and str in get_args(field.annotation)
    }
    return set(target.model_copy(update=left_out).facts())


def _scalar_fields(kind: type[Expectation]) -> list[str]:
    return [name for name, field in kind.model_fields.items() if _is_scalar(field.annotation)]


def _is_scalar(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _is_scalar(get_args(annotation)[0])
    if origin in {Union, UnionType}:
        return any(_is_scalar(part) for part in get_args(annotation))
    return origin is Literal or (isinstance(annotation, type) and issubclass(annotation, str | int | float))
