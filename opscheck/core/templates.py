"""Remediation commands: shell text in which `{{ name }}` stands for a value that is quoted for its place."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from enum import Enum
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from opscheck.core.expectation import Expectation
from opscheck.core.redaction import Secrets
from opscheck.core.shell import REFERENCE, Place, place_after, written
from opscheck.core.target import Target

FINDING_NAMES: Mapping[str, str] = {
    "id": "the expectation's id",
    "title": "what is expected",
    "environment": "the policy's environment",
    "severity": "how bad the finding is",
    "subject": "the pod, path, mount or server the finding is about",
    "observed": "what was seen",
    "expected": "what should have been seen",
}
"""What every command may name, each with a word of explanation."""

_PLACEHOLDER = re.compile(r"\{\{[ \t]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*\}\}")
_OPENED = re.compile(r"\{\{.*?(?:\}\}|$)", re.DOTALL)
_STAND_IN = "_"


def placeholders(command: str) -> list[str]:
    """The names that `command` asks for, each once, in their order."""
    return list(dict.fromkeys(_PLACEHOLDER.findall(command)))


def render(command: str, facts: Mapping[str, str], secrets: Secrets | None = None) -> str | None:
    """
    `command` with each placeholder replaced by its fact, quoted for the place where it stands.

    A secret in a fact becomes the `${NAME}` it came from, and that alone is left for the shell to expand.
    None when there is nothing safe and complete to type: a fact is missing, the template is malformed, a value
    that starts with a dash would be taken as an option, or text that a second language reads (`sh -c '…'`,
    `ssh`, SQL) would get anything but plain characters.
    """
    # A policy may write "${DATABASE_URL}" in a command, and has its value here by now. The quotes in that value will
    # not be in what a person copies, so they must not count when the place of another value is told.
    command = secrets.clean(command) if secrets else command
    if _faults(command):
        return None
    rendered, end = "", 0
    for match, place in _places(command):
        fact = facts.get(match[1])
        value = None if fact is None else written(_pieces(fact, secrets), place)
        if value is None:
            return None
        rendered += command[end : match.start()] + value
        end = match.end()
    return rendered + command[end:]


def malformed(command: str) -> list[str]:
    """What is wrong with how `command` is written, a sentence for each fault; empty when it can be rendered."""
    return list(_faults(command))


def unknown_names(command: str, expectation: Expectation) -> list[tuple[str, str | None]]:
    """The names in `command` that no finding of `expectation` can carry, each with the known name nearest to it."""
    known = known_names(expectation)
    return [(name, _nearest(name, known)) for name in placeholders(command) if name not in known]


def known_names(expectation: Expectation) -> list[str]:
    """What a remediation command of `expectation` may name, sorted."""
    target = expectation.system
    return sorted(
        {*FINDING_NAMES, *_scalar_fields(type(expectation)), *type(expectation).fact_names}
        | (_target_facts(target) if target else set())
    )


def expectation_facts(expectation: Expectation) -> dict[str, str]:
    """The facts that `expectation` and its target give to every one of its findings."""
    target = expectation.system
    fields = {name: getattr(expectation, name) for name in _scalar_fields(type(expectation))}
    return (target.facts() if target else {}) | {
        name: _text(value) for name, value in fields.items() if isinstance(value, str | int | float | Enum)
    }


@lru_cache(maxsize=1024)  # the same few commands are rendered for every finding
def _places(command: str) -> tuple[tuple[re.Match[str], Place], ...]:
    return tuple(
        (match, place_after(_PLACEHOLDER.sub(_STAND_IN, command[: match.start()])))
        for match in _PLACEHOLDER.finditer(command)
    )


@lru_cache(maxsize=1024)
def _faults(command: str) -> tuple[str, ...]:
    left = _PLACEHOLDER.sub("…", command)
    unread = [
        f"`{opened}` is no placeholder; a placeholder is one name, such as {{{{ subject }}}}, and `{{{{` itself is "
        "written {''{"
        for opened in _OPENED.findall(left)
    ]
    misplaced = [fault for match, place in _places(command) if (fault := _misplaced(match[0], place))]
    return (*unread, *misplaced)


def _misplaced(placeholder: str, place: Place) -> str | None:
    if place.joined:
        return f"`{place.joined}{placeholder}` is one word to the shell; write a variable as ${{NAME}}, and no `\\`"
    if place.is_run:
        return f"`{placeholder}` would be what is run; only arguments may come from a placeholder"
    return None


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


def _nearest(name: str, known: list[str]) -> str | None:
    return next(iter(get_close_matches(name, known, n=1)), None)


def _target_facts(target: Target) -> set[str]:
    """What a target of this kind can know, also where this one leaves an optional text out."""
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


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        return str(value.value)
    return str(int(value)) if type(value) is float and value.is_integer() else str(value)
