"""
Commands in the pages of the documentation.

- `console`: a line that begins with `$ ` is a command, the lines below are its output. A line `…` stands for any lines.
- `sh`: each line is a command.
- `yaml` and `text`: commands of a CI job, and lines of a crontab.

A command ends with 0, unless `$ echo $?` follows. `<!-- not run: REASON -->` above a block says why it is not run.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<why>[^\n]+) -->\n+)?```(?P<kind>\w*)\n(?P<text>.*?)^```", re.DOTALL | re.MULTILINE
)
_COMMAND = re.compile(r"\b(?:opscheck|pytest --policy\S*|python|pip|uv|make|kubectl) ")
_JOB = re.compile(r"^\s*- (?:run: )?(opscheck .+)$")
_CRONTAB = re.compile(r"^(?:\S+ ){5} *(opscheck .+)$")
_FILE = re.compile(r"# ([\w.-]+\.yaml)\n")
_SHELL = {"console", "sh", "text", "yaml", ""}
# Values that differ from run to run.
_CHANGING = (
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:PORT"),
    (re.compile(r"\b\d\d:\d\d UTC"), "TIME"),
    (re.compile(r"\b\d+(?:\.\d+)?m?s\b"), "DURATION"),
)


@dataclass(frozen=True)
class Command:
    """One command of a block, with the output that the page shows; None where it shows none."""

    line: str
    output: str | None = None


@dataclass(frozen=True)
class Block:
    """A fenced block with commands, or with a file that the page tells its reader to save."""

    commands: tuple[Command, ...]
    file: str = ""
    text: str = ""
    why_not: str = ""


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page with commands or a named file, in order."""
    for found in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        kind, text, why_not = found["kind"], found["text"], found["why"] or ""
        if kind not in _SHELL:
            continue
        named = _FILE.match(text) if kind == "yaml" else None
        commands = tuple(_commands(kind, text))
        if commands or named:
            yield Block(commands, named[1] if named else "", text, why_not)


def matches(output: str, expected: str) -> bool:
    """Whether a page shows this output."""
    lines = ("(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*") + "\n" for line in _lines(expected))
    return re.fullmatch("".join(lines), "".join(f"{line}\n" for line in _lines(output))) is not None


def _lines(output: str) -> list[str]:
    """The lines without ports, times and durations, and without spaces at their ends."""
    for pattern, word in _CHANGING:
        output = pattern.sub(word, output)
    return [line.rstrip() for line in output.strip().splitlines()]


def _commands(kind: str, text: str) -> Iterator[Command]:
    text = text.replace("\\\n", "")
    if kind == "console":
        for part in text.split("\n$ ") if text.startswith("$ ") else ():
            line, _, output = part.removeprefix("$ ").partition("\n")
            yield Command(line, output if output.strip() else None)
    elif kind == "sh":
        yield from (Command(line) for line in text.splitlines() if line.strip() and not line.startswith("#"))
    elif kind:
        pattern = _JOB if kind == "yaml" else _CRONTAB
        yield from (Command(found[1]) for line in text.splitlines() if (found := pattern.match(line)))
    elif _COMMAND.match(text):
        yield Command(text.strip())


if __name__ == "__main__":  # `make docs` prints these numbers
    from tests.test_docs_paths import PAGES
    from tests.test_docs_site import policies

    every = [block for page in PAGES for block in blocks(page)]
    typed = sum(len(block.commands) for block in every if not block.why_not)
    untyped = [block for block in every if block.why_not]
    print(  # noqa: T201 - the output of this program
        f"{len(list(policies()))} policies to validate, {typed} commands to type, {len(untyped)} blocks not run"
    )
