"""Flaws in the shell scripts of containers that hide a failed command."""

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

NO_PIPEFAIL = "pipes {program} into another program without pipefail"
IGNORED = "ignores a failure of {program}"
DATE_TWICE = "computes the same date twice"
_SHELLS = frozenset({"sh", "bash", "ash", "dash", "ksh", "zsh", "busybox"})
# Programs that write a backup to standard output. Only names of this list are ever reported.
_PROGRAMS = (
    "pg_dump|pg_dumpall|pg_basebackup|mysqldump|mariadb-dump|mariabackup|xtrabackup|mongodump|sqlite3|slapcat|influxd"
    "|clickhouse-client|tar|cpio"
)
_PROGRAM = re.compile(rf"(?<![\w./-])(?:[\w./-]*/)?({_PROGRAMS})(?![\w./=-])")
_WATCHES_PIPES = re.compile(r"pipefail|PIPESTATUS|pipestatus|\bmispipe\b")
# Quoted text is one word with any content; text in double quotes may still contain `$(…)`.
_QUOTED = re.compile(r"'[^']*'|\"(?:\\.|[^\"\\])*\"|\\.", re.DOTALL)
_COMMENT = re.compile(r"(?:^|(?<=\s))#[^\n]*", re.MULTILINE)
_CONTINUED = re.compile(r"\\\n")
_PIPE = re.compile(r"(?<![|>])\|&?(?!\|)")
_ENDS = re.compile(r"\|\||&&|;|\n|(?<![>&])&(?![>&])|[(){}]|`")
_IGNORES = re.compile(r"\|\|\s*(?:true|:|exit\s+0)(?![\w-])")
_DATE = re.compile(r"(?:\$\(|`)\s*(?:[\w./]*/)?date\b([^)`]*)")
_SAYS = re.compile(r"^\s*(?:echo|printf|logger|log)\b")
_MOST = 100_000


def flaws(words: Sequence[str]) -> tuple[str, ...]:
    """
    The flaws of `words`, the command and arguments of a container, that hide a failure.

    Each is a sentence of this module and contains no text of the script.
    """
    script, watches_pipes = script_of(words)
    if not script:
        return ()
    text = _COMMENT.sub("", _CONTINUED.sub(" ", script[:_MOST]))
    return tuple(dict.fromkeys(_flaws(text, watches_pipes=watches_pipes or bool(_WATCHES_PIPES.search(text)))))


def script_of(words: Sequence[str]) -> tuple[str, bool]:
    """The script in a shell's arguments, and True when an option sets pipefail; an empty text without one."""
    shell = next((at for at, word in enumerate(words) if PurePosixPath(word).name in _SHELLS), None)
    if shell is None or any("=" not in word and PurePosixPath(word).name != "env" for word in words[:shell]):
        return "", False
    given, watches, takes_script = list(words[shell + 1 :]), False, False
    while given:
        word = given.pop(0)
        if word[:1] not in {"-", "+"}:
            if PurePosixPath(word).name in _SHELLS and not takes_script:
                continue  # `busybox sh`
            return (word, watches) if takes_script else ("", False)
        letters = "" if word.startswith("--") else word[1:]
        takes_script = takes_script or "c" in letters
        if "o" in letters and given:
            watches = given.pop(0) == "pipefail" or watches
    return "", False


def _flaws(text: str, *, watches_pipes: bool) -> Iterator[str]:
    plain = _QUOTED.sub(lambda found: _without_signs(found[0]), text)
    if not watches_pipes:
        for pipeline in _ENDS.split(plain):
            *feeding, _ = _PIPE.split(pipeline)
            for part in feeding:
                if (program := _PROGRAM.search(part)) is not None:
                    yield NO_PIPEFAIL.format(program=program[1])
                    break
    for ignored in _IGNORES.finditer(plain):
        before = re.split(r"&&|;|\n", plain[: ignored.start()])[-1]
        if (program := _PROGRAM.search(before)) is not None:
            yield IGNORED.format(program=program[1])
    if _same_date_twice(text):
        yield DATE_TWICE


def _without_signs(quoted: str) -> str:
    """Quoted text without the characters that an unquoted shell text would interpret."""
    inside = quoted[1:-1] if quoted[:1] == quoted[-1:] and len(quoted) > 1 else quoted
    return re.sub(r"[|&;\n(){}`#<>]", "_", inside)


def _same_date_twice(text: str) -> bool:
    """True when a date is computed twice with one format, except for printing: the results may differ."""
    formats = [
        _format(found[1])
        for line in text.splitlines()
        if not _SAYS.match(line)
        for found in _DATE.finditer(line)
        if "+" in found[1]
    ]
    return len(formats) != len(set(formats))


def _format(arguments: str) -> str:
    try:
        return " ".join(shlex.split(arguments))
    except ValueError:
        return " ".join(arguments.replace("'", "").replace('"', "").split())
