"""`opscheck demo`, from the outside."""

import json
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from opscheck.demo.faults import FAULTS
from opscheck.demo.show import faults_text, show

RUNS = ("healthy/recovery", "healthy/daily", "broken/daily", "broken/recovery")


@pytest.fixture(name="folders", autouse=True)
def _folders(monkeypatch, tmp_path) -> Path:
    """The folder for temporary folders, so that a test sees those that remain."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    tmp_path.chmod(0o711)
    folder.chmod(0o711)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def demo(output: Path, *, faults: Sequence[str] = ()) -> tuple[int, list[str]]:
    lines: list[str] = []
    code = show(faults=faults, hold=False, output=output, write=lines.append)
    return code, lines


def test_demo_passes_while_healthy_and_fails_once_broken(new_interpreter, tmp_path, folders):
    code, lines = demo(tmp_path / "out")

    assert 0 == code, "\n".join(lines)
    for run in RUNS:
        folder = tmp_path / "out" / run
        assert {"run.json", "junit.xml", "terminal.txt"} == {found.name for found in folder.iterdir()}
        assert "\x1b" not in (folder / "terminal.txt").read_text()
    assert [f"Broken: {name}: {effect}" for name, effect in FAULTS.items()] == [
        line for line in lines if line.startswith("Broken: ")
    ]
    assert ["passed", "violated"] == [drill(tmp_path / "out" / run) for run in ("healthy/recovery", "broken/recovery")]
    shown = [re.search(r"policies/(\w+)\.yaml( --drill)?", line).groups() for line in lines if line[:2] == "$ "]
    assert [("recovery", " --drill"), ("daily", None), ("daily", None), ("recovery", " --drill")] == shown
    assert [] == list(folders.iterdir())


def drill(records: Path) -> str:
    """The verdict of the restore drill."""
    results = json.loads((records / "run.json").read_text())["results"]
    (found,) = [one for one in results if one["check"] == "recovery.drill"]
    return found["verdict"]


def test_intact_backup_needs_one_drill_and_an_old_state_is_removed(new_interpreter, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    (output / "state.db").write_text("samples of servers that are gone")

    code, lines = demo(output, faults=["cache"])

    assert 0 == code, "\n".join(lines)
    assert {"healthy/recovery", "healthy/daily", "broken/daily"} == {
        str(found.parent.relative_to(output)) for found in output.glob("*/*/run.json")
    }


def test_unknown_fault_is_a_usage_error(tmp_path):
    code, lines = demo(tmp_path, faults=["disk"])

    assert 4 == code
    assert [f"The demo cannot break disk; it can break {', '.join(FAULTS)}"] == lines


def test_missing_packages_are_named_with_the_command_to_install(tmp_path):
    script = (
        "import importlib.util, pathlib, sys\n"
        "real = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: None if name in ('trustme', 'moto') else real(name)\n"
        "from opscheck.demo.show import show\n"
        "sys.exit(show(faults=[], hold=False, output=pathlib.Path('x'), write=print))\n"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)

    assert 4 == done.returncode
    assert 'The demo needs moto, trustme: pip install "opscheck[demo]"\n' == done.stdout
    assert "" == done.stderr


def test_each_fault_has_a_line():
    assert list(FAULTS) == [line.split()[0] for line in faults_text().splitlines()]


HOLD = """
import sys
from pathlib import Path
from opscheck.demo.show import show

sys.exit(show(faults=sys.argv[2:], hold=True, output=Path(sys.argv[1]), write=lambda line: print(line, flush=True)))
"""


@contextmanager
def held(output: Path, *faults: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """`opscheck demo --hold`, with the lines that it printed when the servers were ready."""
    command = [sys.executable, "-c", HOLD, str(output), *faults]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            lines = []
            for line in process.stdout:
                lines.append(line.rstrip("\n"))
                if "Ctrl-C" in line:
                    break
            yield process, lines
        finally:
            process.send_signal(signal.SIGTERM)


def typed(commands: Sequence[str], home: Path) -> list[tuple[int, str]]:
    """Exit code and output of each command, all typed into one new shell."""
    script = "".join(f"{command} > output-{number} 2>&1; echo $?\n" for number, command in enumerate(commands))
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    shell = subprocess.run(
        ["bash"], input=script, cwd=home, env=environment, stdout=subprocess.PIPE, text=True, timeout=120, check=True
    )
    codes = [int(code) for code in shell.stdout.split()]
    return [(code, (home / f"output-{number}").read_text()) for number, code in enumerate(codes)]


@pytest.mark.parametrize(("faults", "drill", "daily"), [([], 0, 0), (["cache", "backups"], 1, 1)])
def test_held_demo_prints_commands_that_a_new_shell_runs(new_interpreter, tmp_path, faults, drill, daily):
    home = tmp_path / "home"
    home.mkdir()
    with held(tmp_path / "out put", *faults) as (_, lines):
        commands = [line for line in lines if line.startswith("    ")]
        done = typed(commands, home)

    words = [command.split()[:2] for command in commands]
    assert words[1:4] == [["opscheck", "run"], ["opscheck", "run"], ["pytest", words[3][1]]]
    assert {name for name, _ in words[4:]} == {"kill"}
    assert [code for code, _ in done] == [0, drill, daily, daily, *(0 for _ in words[4:])], done
    expected = [int(found[1]) for line in lines if (found := re.search(r"expected exit code (\d)", line))]
    assert expected == [drill, daily, daily]


def test_held_demo_keeps_its_servers_until_it_is_ended(new_interpreter, tmp_path, folders):
    output = tmp_path / "out put"
    with held(output, "cache") as (process, lines):
        script = output / "environment.sh"
        seen = subprocess.run(
            ["sh", "-c", f'. {shlex.quote(str(script))}; printf "%s\\n%s" "$NAMESPACE" "$DATABASE_URL"'],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split("\n")
        (pid,) = [int(line.split()[1]) for before, line in pairwise(lines) if before.startswith("Stop PostgreSQL")]
        os.kill(pid, 0)

        assert stat.S_IMODE(script.stat().st_mode) == 0o600
        assert seen[0] == "integration-deployment"
        assert seen[1].startswith("postgresql://opscheck:")
        assert "Broken: cache: redis-server is stopped" in lines

        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=20)

    assert process.returncode == 0
    assert rest == "Stopped (SIGTERM); everything is cleaned up.\n"
    assert not script.exists()
    assert list(folders.iterdir()) == []
