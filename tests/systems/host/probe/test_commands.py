"""Local commands end: in time, with their children, and with bounded output."""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from time import monotonic

import pytest

from opscheck.systems.host.probe.commands import MOST_OUTPUT, CommandStopped, Finished, run_locally
from opscheck.transport.processes import wait_until


def run(command: str, within: float = 10) -> Finished:
    return run_locally(command, monotonic() + within)


def stopped(command: str, within: float = 10) -> CommandStopped:
    with pytest.raises(CommandStopped) as raised:
        run(command, within)
    return raised.value


def running(process: int) -> bool:
    """True while it runs; a zombie waits only for its parent to look."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_status_and_both_outputs_come_back():
    assert Finished(3, b"out\n", b"err\n") == run("echo out; echo err >&2; exit 3")


def test_a_command_that_is_missing_is_a_status():
    assert 127 == run("opscheck-no-such-program").status


def test_command_has_no_terminal_and_no_input():
    assert Finished(0, b"", b"") == run("cat")
    assert 0 != run("exec < /dev/tty").status


def test_late_command_is_killed_with_its_children(tmp_path):
    pid = tmp_path / "pid"
    late = stopped(f"echo so far; sleep 60 & echo $! > {shlex.quote(str(pid))}; wait", 0.5)

    assert (True, b"so far\n") == (late.late, late.stdout)
    wait_until(lambda: not running(int(pid.read_text())), 10, "the child still runs")


def test_command_ends_with_the_program(tmp_path):
    pid = tmp_path / "pid"
    program = f"""
import sys, threading, time, traceback
from pathlib import Path
from opscheck.systems.host.probe.commands import run_locally

def reads():
    return any("_read" == call.name for call in traceback.extract_stack(sys._current_frames()[thread.ident]))

command = "sleep 60 & echo $! > {pid}.new; mv {pid}.new {pid}; wait"
thread = threading.Thread(target=run_locally, args=(command, time.monotonic() + 60), daemon=True)
thread.start()
while not (Path("{pid}").exists() and reads()):
    time.sleep(0.01)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)

    wait_until(lambda: not running(int(pid.read_text())), 10, "the command still runs")


def test_command_with_closed_outputs_is_killed():
    assert stopped("exec >&- 2>&-; sleep 60", 0.3).late


def test_a_child_that_is_left_behind_is_not_waited_for(tmp_path):
    pid = tmp_path / "pid"
    began = monotonic()
    # As the master of ssh's ControlPersist does: a session of its own, and the pipe still open.
    finished = run(f"echo done; setsid sleep 60 & echo $! > {shlex.quote(str(pid))}")
    took = monotonic() - began
    os.kill(int(pid.read_text()), 9)

    assert b"done\n" == finished.stdout
    assert took < 10


def test_a_flood_is_cut_off():
    flood = stopped("yes")

    assert not flood.late
    assert len(flood.stdout) < 2 * MOST_OUTPUT
    assert f"it wrote more than {MOST_OUTPUT} bytes" == str(flood)
