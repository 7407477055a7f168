"""The commands that README and the documentation show, typed page by page against the demo's servers."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opscheck.bundle import bundled
from tests.console_blocks import Block, Command, blocks, matches
from tests.test_docs_paths import PAGES, ROOT
from tests.test_examples import queue

SHOWN = {str(page.relative_to(ROOT)): found for page in PAGES if (found := list(blocks(page)))}
TYPED = {name: [one for one in found if not one.why_not] for name, found in SHOWN.items()}
PAGES_WITH_COMMANDS = [name for name, found in TYPED.items() if any(one.commands for one in found)]

# A policy of production that needs no drill on record: each page starts in a new folder.
PRODUCTION = """\
version: 1
extends: daily.yaml
environment: production
expectations:
  - {id: drilled, skip: no drill on record}
"""
_EXPIRES = re.compile(r"(?<=expires: )\d{4}-\d\d-\d\d")
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
INSTALLING = {"pip", "uv", "make", "git"}
_EXPORT = re.compile(r"export (\w+)=")
# Folders of the machine on which cron runs.
_ELSEWHERE = re.compile(r"/(?:etc|var/lib)/opscheck/")


@pytest.fixture(name="folder")
def _folder(tmp_path):
    """The shipped policies, those of a team, and the repository's folders that pages name."""
    for policy in bundled("policies").glob("*.yaml"):
        shutil.copy(policy, tmp_path)
    (tmp_path / "production.yaml").write_text(PRODUCTION)
    for name in ("checks", "examples", "policies"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def typed(found: list[Block], folder: Path, variables: Mapping[str, str]) -> list[tuple[Command, int, str]]:
    """Type the commands of a page into one shell. Returns each with its exit code and its output."""
    for block in found:
        if block.file:
            expiry = datetime.now(UTC).date() + timedelta(days=20)
            (folder / block.file).write_text(_EXPIRES.sub(str(expiry), block.text))
    commands = [command for block in found for command in block.commands]
    script = []
    for number, command in enumerate(commands):
        assert command.line.split()[0] not in INSTALLING, f"say why it is not run: {command.line}"
        # `{` and `}` keep exports; the exit code stays for a following `echo $?`.
        script.append(f"{{ {_line(command, variables)}\n}} > output-{number} 2>&1\ncode=$?; echo $code; (exit $code)\n")
    environment = {"HOME": str(folder), "LANG": "C.UTF-8", "COLUMNS": "120", **variables, "PATH": PATH}
    shell = subprocess.run(
        ["bash", "-c", "".join(script)],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        timeout=300,
        check=False,
    )
    codes = [int(code) for code in shell.stdout.split()]
    outputs = [(folder / f"output-{number}").read_text() for number in range(len(commands))]
    return list(zip(commands, codes, outputs, strict=True))


def _line(command: Command, variables: Mapping[str, str]) -> str:
    """The command, with files in this folder, and with the demo's value of a variable where a page has an example."""
    exported = _EXPORT.match(command.line)
    if exported and exported[1] in variables:
        return f'export {exported[1]}="${exported[1]}"'
    return _ELSEWHERE.sub("", command.line)


@pytest.mark.parametrize("name", PAGES_WITH_COMMANDS)
def test_commands_of_a_page_print_and_exit_as_shown(name, environment, new_interpreter, folder):
    with queue(waiting=250) as jobs_url:
        done = typed(TYPED[name], folder, {**environment.variables, "JOBS_URL": jobs_url})

    for number, (command, code, output) in enumerate(done):
        following = done[number + 1][0].line if number + 1 < len(done) else ""
        assert code == 0 or following == "echo $?", (command.line, code, output)
        assert command.output is None or matches(output, command.output), (command.line, output)


def test_most_commands_of_the_pages_are_typed():
    typed_ones = [command for found in TYPED.values() for block in found for command in block.commands]
    untyped = [block.why_not for found in SHOWN.values() for block in found if block.why_not]

    assert len(typed_ones) >= 40
    assert len(untyped) <= 12


def test_tutorial_is_typed_whole_except_for_its_installation():
    untyped = [block for block in SHOWN["docs/tutorial.md"] if block.why_not]

    assert [one.line.split()[0] for block in untyped for one in block.commands] == ["pip"]
