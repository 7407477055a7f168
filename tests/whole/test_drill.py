"""Restore drills as the command does them: what is told, what is kept, and that nothing stays when it is killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.servers.drills import (
    HANGS,
    ROWS,
    ScratchServer,
    Shelf,
    Traces,
    plain,
    scratch_server,
    shelf_of_backups,
    soon,
    traces_of_drills,
)
from tests.servers.interpreters import Interpreter

__all__ = ["scratch_server", "shelf_of_backups", "traces_of_drills"]

POLICY = """
version: 1
environment: test
targets:
  shelf: {{kind: folder, path: "{shelf}"}}
  scratch: {{kind: postgres, dsn: "${{SCRATCH_URL}}", scratch: true}}
expectations:
  - id: restore
    check: recovery.drill
    target: shelf
    names: "{names}"
    time_from: modified
    scratch: {scratch}
    rto: {{P1: 2m}}
    age: {{P2: {age}}}
    newest: SELECT max(at) FROM orders
    assertions:
      - {{name: orders, sql: SELECT count(*) FROM orders, at_least: {least}}}
    record: drill.json
  - id: practised
    check: recovery.drilled
    drill: restore
    age: {{P2: 30d}}
"""


class Opscheck:
    """The command, in a folder of its own."""

    def __init__(self, folder: Path, shelf: Shelf, scratch: ScratchServer, interpreter: Interpreter) -> None:
        self.folder, self.shelf, self.scratch = folder, shelf, scratch
        self._interpreter = interpreter

    def write(self, names: str, *, scratch: str = "scratch", age: str = "1d", least: int = ROWS) -> None:
        """The policy."""
        stated = POLICY.format(shelf=self.shelf.folder, names=names, scratch=scratch, age=age, least=least)
        (self.folder / "policy.yaml").write_text(stated)

    def start(self, *options: str) -> "subprocess.Popen[str]":
        """`opscheck run`, in the background."""
        return subprocess.Popen(
            [sys.executable, "-m", "opscheck", "run", "-p", "policy.yaml", "--json", "run.json", *options],
            cwd=self.folder,
            env=self._variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *options: str) -> tuple[int, str]:
        """The same to its end: its exit code, and what it printed."""
        return self.do("opscheck", "run", "-p", "policy.yaml", "--json", "run.json", *options)

    def do(self, *words: str) -> tuple[int, str]:
        """`python -m` with these words."""
        done = self._interpreter(*words, cwd=self.folder, env=self._variables, timeout=120)
        return done.returncode, done.stdout + done.stderr

    @property
    def _variables(self) -> dict[str, str]:
        return {**os.environ, "SCRATCH_URL": self.scratch.dsn}

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        """The run's results by id."""
        results = json.loads((self.folder / "run.json").read_text())["results"]
        return {result["id"]: result for result in results}

    @property
    def record(self) -> dict[str, Any]:
        """The drill's record."""
        read: dict[str, Any] = json.loads((self.folder / "drill.json").read_text())
        return read


@pytest.fixture(name="opscheck")
def _opscheck(
    tmp_path: Path, shelf: Shelf, scratch: ScratchServer, traces: Traces, interpreter: Interpreter
) -> Iterator[Opscheck]:
    yield Opscheck(tmp_path, shelf, scratch, interpreter)
    assert traces.none_left()
    assert [] == scratch.databases()


@pytest.fixture(name="opscheck_process")
def _opscheck_process(
    tmp_path: Path, shelf: Shelf, scratch: ScratchServer, traces: Traces, new_interpreter: Interpreter
) -> Iterator[Opscheck]:
    """Only in a new interpreter, which a test may kill."""
    yield Opscheck(tmp_path, shelf, scratch, new_interpreter)
    assert traces.none_left()
    assert [] == scratch.databases()


@pytest.mark.parametrize("scratch_is", ["scratch", "embedded"])
def test_real_backup_passes_and_its_phases_are_measured(opscheck, scratch_is):
    opscheck.write("16.dump", scratch=scratch_is)

    code, printed = opscheck.run("--drill", "-v", "--state", "state.db")

    assert 0 == code, printed
    text = " ".join(printed.split())
    for words in ("recovered in", "(<= 2m)", "age of the newest row", "(<= 1d)", "orders 1000", "phase restore"):
        assert words in text
    assert ("passed", "passed") == tuple(one["verdict"] for one in opscheck.results.values())
    assert ("opscheck.drill/v1", True) == (opscheck.record["schema"], opscheck.record["passed"])


def test_secret_or_row_is_in_no_output(opscheck):
    opscheck.write("16.sql", least=ROWS + 1)

    _, printed = opscheck.run("--drill", "-v", "--state", "state.db", "--save", "snapshot.json", "--junit", "junit.xml")

    for name in ("run.json", "drill.json", "snapshot.json", "junit.xml", "state.db"):
        for secret in (b"geheim-4711", b"a/b@c drill", b"a%2Fb%40c%20drill"):
            assert secret not in (opscheck.folder / name).read_bytes() + printed.encode()


@pytest.mark.parametrize(
    ("names", "changed", "words"),
    [
        ("cut.dump", {}, "end of file"),
        ("18.dump", {}, "was dumped from PostgreSQL 18"),
        ("16.dump", {"age": "1m"}, "age of the newest row"),
        ("16.dump", {"least": ROWS + 1}, ">= 1001"),
        ("missing-*.dump", {}, "no backup is there"),
    ],
)
def test_unusable_backup_is_violated_with_the_reason(opscheck, shelf, names, changed, words):
    shelf.put("cut.dump", shelf.read("16.dump")[:-2000])
    opscheck.write(names, **changed)

    code, printed = opscheck.run("--drill", "-v")

    assert (1, "violated") == (code, opscheck.results["restore"]["verdict"])
    assert words in " ".join(printed.split())
    finding = opscheck.results["restore"]["findings"][0]
    assert finding["observed"]
    assert finding["expected"]
    assert finding["remediation"]["commands"]


def test_drill_without_the_option_is_skipped(opscheck):
    opscheck.write("16.dump")

    code, printed = opscheck.run("--state", "state.db")

    assert (1, "skipped", "violated") == (code, *(one["verdict"] for one in opscheck.results.values()))
    assert "--drill" in printed
    assert "no drill is known" in printed
    assert not (opscheck.folder / "drill.json").exists()


def test_snapshot_is_judged_again_without_a_drill(opscheck):
    opscheck.write("16.dump")
    opscheck.run("--drill", "--save", "snapshot.json")
    (opscheck.folder / "drill.json").unlink()

    opscheck.write("16.dump", least=ROWS + 1)
    code, _ = opscheck.run("--drill", "--from", "snapshot.json")

    assert (1, "violated") == (code, opscheck.results["restore"]["verdict"])
    assert not (opscheck.folder / "drill.json").exists()
    opscheck.run("--from", "snapshot.json")
    assert "skipped" == opscheck.results["restore"]["verdict"]


def test_later_run_reads_the_drill_and_reports_a_later_failure(opscheck):
    opscheck.write("16.dump")
    opscheck.run("--drill", "--state", "state.db")

    assert 0 == opscheck.run("--only", "practised", "--state", "state.db")[0]

    opscheck.write("16.dump", least=ROWS + 1)
    opscheck.run("--drill", "--state", "state.db")
    code, printed = opscheck.run("--only", "practised", "--state", "state.db")

    assert (1, True) == (code, "the last drill failed" in printed)
    assert "orders 1000, expected >= 1001" in printed
    assert opscheck.record["passed_at"] < opscheck.record["began_at"]


def test_unreadable_state_file_is_unknown_not_a_missing_drill(opscheck):
    opscheck.write("16.dump")
    (opscheck.folder / "state.db").write_text("no database " * 100)

    opscheck.run("--only", "practised", "--state", "state.db")

    assert "unknown" == opscheck.results["practised"]["verdict"]
    assert "no drill is known: the state file" in opscheck.results["practised"]["summary"]


def test_unwritable_record_is_reported_before_the_start(opscheck):
    opscheck.write("16.dump")
    (opscheck.folder / "drill.json").mkdir()

    code, printed = opscheck.run("--drill")

    assert (20, "unknown") == (code, opscheck.results["restore"]["verdict"]), printed
    assert "the drill's record cannot be written to drill.json" in opscheck.results["restore"]["summary"]


def test_two_workers_do_a_drill_once(opscheck_process):
    opscheck = opscheck_process
    opscheck.write("16.dump")
    checks = ["pytest", "--policy=policy.yaml", "--run-json=run.json", "--drill", "--state=state.db", "-n2"]
    suite = str(Path(__file__).parents[2] / "checks" / "recovery")

    _, printed = opscheck.do(*checks, suite)

    assert ("passed", "passed") == tuple(one["verdict"] for one in opscheck.results.values()), printed
    assert 0 == opscheck.run("--only", "practised", "--state", "state.db")[0]


Kill = Callable[["subprocess.Popen[str]"], None]


def _signalled(how: signal.Signals) -> Kill:
    return lambda process: os.killpg(process.pid, how)


def _drills_process(process: "subprocess.Popen[str]") -> int:
    """The process that does the drill of this run."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if (
                parent == process.pid
                and b"opscheck.systems.recovery.probe.drilling" in (entry / "cmdline").read_bytes()
            ):
                return int(entry.name)
    raise LookupError(process.pid)


def _kill_the_drill(process: "subprocess.Popen[str]") -> None:
    os.kill(_drills_process(process), signal.SIGKILL)


@pytest.mark.parametrize("scratch_is", ["scratch", "embedded"])
@pytest.mark.parametrize(
    "kill",
    [_signalled(signal.SIGINT), _signalled(signal.SIGTERM), _signalled(signal.SIGKILL), _kill_the_drill],
    ids=["ctrl-c", "terminated", "killed", "drill killed"],
)
def test_killed_drill_leaves_no_server_folder_or_database(opscheck_process, shelf, traces, scratch_is, kill):
    opscheck = opscheck_process
    opscheck.write(shelf.put("hangs.sql", plain("CREATE TABLE orders (id int);", HANGS)), scratch=scratch_is)

    with opscheck.start("--drill") as process:
        assert soon(lambda: _restores(opscheck, traces, scratch_is))
        kill(process)
        printed, _ = process.communicate(timeout=60)

    assert soon(traces.none_left), (traces.folders(), traces.processes())
    assert soon(lambda: not opscheck.scratch.databases())
    assert process.returncode != 0
    assert "Traceback" not in printed


def test_killed_drill_is_unknown_and_not_recorded(opscheck_process, shelf):
    opscheck = opscheck_process
    opscheck.write(shelf.put("hangs.sql", plain("CREATE TABLE orders (id int);", HANGS)))

    with opscheck.start("--drill", "--state", "state.db") as process:
        assert soon(lambda: bool(opscheck.scratch.databases()))
        _kill_the_drill(process)
        printed, _ = process.communicate(timeout=60)

    assert (1, "unknown") == (process.returncode, opscheck.results["restore"]["verdict"]), printed
    assert "the drill's process ended with -9" in opscheck.results["restore"]["summary"]
    assert not (opscheck.folder / "drill.json").exists()
    assert "violated" == opscheck.results["practised"]["verdict"]


def _restores(opscheck: Opscheck, traces: Traces, scratch_is: str) -> bool:
    """Whether the backup is being restored."""
    if scratch_is == "scratch":
        return bool(opscheck.scratch.databases())
    return any((folder / "data" / "postmaster.pid").exists() for folder in traces.folders())
