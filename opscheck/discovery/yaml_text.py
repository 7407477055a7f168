"""Targets, expectations and waivers as YAML that a person would write: comments, aligned, quoted only where needed."""

import json
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml
from yamlcore import CoreLoader

from opscheck.core.escaping import visible

WIDTH = 110
"""Columns; a collection that does not fit is written over several lines. A single text may be longer."""

Lines = list[str]

_PLAIN = re.compile(r"[A-Za-z0-9/][A-Za-z0-9_./%+-]*")


def scalar(value: object) -> str:
    """A text, number or boolean, quoted where another reading is possible, in YAML 1.1 or 1.2."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return json.dumps(value)
    plain = _PLAIN.fullmatch(value) is not None
    if plain and value == yaml.safe_load(value) and value == yaml.load(value, CoreLoader):  # noqa: S506 - scalars only
        return value
    quoted: str = yaml.safe_dump(value, default_style='"', width=float("inf"), allow_unicode=True)
    return quoted.strip()


def flow(value: object) -> str:
    """A value on one line: `{P2: 75%, P0: 90%}`."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(flow, value)) + "]"
    return scalar(value)


def entry(key: str, value: object) -> Lines:
    """`key: value`, on one line where it fits."""
    line = f"{scalar(key)}: {flow(value)}"
    if len(line) <= WIDTH or not value or isinstance(value, str) or not isinstance(value, Mapping | Sequence):
        return [line]
    return [f"{scalar(key)}:", *indented(_block(value), 2)]


def comment(text: str) -> Lines:
    """`text` as lines of a comment. It may come from a target, and cannot end the comment."""
    # Lines after the first are indented: none of them can be taken for a directive such as an `ignore`.
    wrapped = textwrap.wrap(
        visible(text), WIDTH - 4, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    return [f"# {line}" for line in wrapped]


def target_lines(name: str, fields: Mapping[str, Any], seen: str) -> Lines:
    """An entry of `targets`."""
    return [*(comment(seen) if seen else ()), *entry(name, fields)]


def item_lines(fields: Mapping[str, Any], reason: str = "") -> Lines:
    """An entry of a list, such as `expectations`, with one line for each field."""
    lines = [line for key, value in fields.items() for line in entry(key, value)]
    return [*(comment(reason) if reason else ()), f"- {lines[0]}", *indented(lines[1:], 2)]


def indented(lines: Iterable[str], by: int) -> Lines:
    """The same lines, further to the right."""
    return [" " * by + line for line in lines]


def _block(value: Mapping[str, Any] | Sequence[Any]) -> Lines:
    if isinstance(value, Mapping):
        return [line for key, item in value.items() for line in entry(key, item)]
    return [f"- {flow(item)}" for item in value]
