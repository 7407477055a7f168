"""`opscheck demo`, from the outside."""

import json
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from opscheck.demo.faults import FAULTS
from opscheck.demo.show import faults_text, show

RUNS = ("healthy/recovery", "healthy/daily", "broken/daily", "broken/recovery")


@pytest.fixture(name="folders", autouse=True)
def _folders(monkeypatch, tmp_path) -> Path:
    """Where temporary folders go, so that what is left behind can be seen."""
    place = tmp_path / "temporary"
    place.mkdir()
    tmp_path.chmod(0o711)
    place.chmod(0o711)
    monkeypatch.setattr("tempfile.tempdir", str(place))
    monkeypatch.setenv("TMPDIR", str(place))
    return place


def demo(output: Path, *, faults: Sequence[str] = ()) -> tuple[int, list[str]]:
    lines: list[str] = []
    code = show(faults=faults, hold=False, output=output, write=lines.append)
    return code, lines


def test_the_policy_is_green_on_a_healthy_system_and_red_on_a_broken_one(new_interpreter, tmp_path, folders):
    code, lines = demo(tmp_path / "out")

    assert 0 == code, "\n".join(lines)
    for run in RUNS:
        folder = tmp_path / "out" / run
        assert {"run.json", "junit.xml", "terminal.txt"} == {found.name for found in folder.iterdir()}
        assert "\x1b" not in (folder / "terminal.txt").read_text()
    assert [f"Broken: {name}: {what}" for name, what in FAULTS.items()] == [
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


def test_what_breaks_no_backup_needs_no_second_drill_and_an_older_state_is_forgotten(new_interpreter, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    (output / "state.db").write_text("of servers that are gone")

    code, lines = demo(output, faults=["cache"])

    assert 0 == code, "\n".join(lines)
    assert {"healthy/recovery", "healthy/daily", "broken/daily"} == {
        str(found.parent.relative_to(output)) for found in output.glob("*/*/run.json")
    }


def test_what_cannot_be_broken_is_wrong_usage(tmp_path):
    code, lines = demo(tmp_path, faults=["disk"])

    assert 4 == code
    assert [f"The demo cannot break disk; it can break {', '.join(FAULTS)}"] == lines


def test_without_its_packages_it_names_what_to_install(tmp_path):
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

sys.exit(show(faults=["cache"], hold=True, output=Path(sys.argv[1]), write=lambda line: print(line, flush=True)))
"""


def test_held_it_says_how_to_get_there_until_it_is_ended(new_interpreter, tmp_path, folders):
    output = tmp_path / "out put"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(output)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if "Ctrl-C" in line:
            break
    script = output / "environment.sh"
    seen = subprocess.run(
        ["sh", "-c", f'. {shlex.quote(str(script))}; printf "%s\\n%s" "$NAMESPACE" "$DATABASE_URL"'],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")

    assert 0o600 == stat.S_IMODE(script.stat().st_mode)
    assert "integration-deployment" == seen[0]
    assert seen[1].startswith("postgresql://opscheck:")
    assert f"export DATABASE_URL={shlex.quote(seen[1])}" in lines
    assert "Broken: cache: redis-server is stopped" in lines
    assert any(re.match(r"\s+opscheck run -p .*daily\.yaml", line) for line in lines)
    assert any(re.match(r"\s+opscheck run -p .*recovery\.yaml --drill --state", line) for line in lines)
    assert any(re.match(r"\s+pytest .*checks --policy=.*daily\.yaml", line) for line in lines)
    (pid,) = [int(found[1]) for line in lines if (found := re.search(r"kill (\d+)  # PostgreSQL", line))]
    os.kill(pid, 0)

    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=20)

    assert 0 == process.returncode
    assert "Stopped (SIGTERM); everything is cleaned up.\n" == rest
    assert not script.exists()
    assert [] == list(folders.iterdir())
