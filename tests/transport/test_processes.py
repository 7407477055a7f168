"""Starting and stopping programs."""

import re
import signal
import sys

import pytest

from opscheck.demo.credentials import AWKWARD, password
from opscheck.transport.processes import ServerFailed, ServerProcess, folder, free_port, reachable, wait_until

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def test_program_that_ends_at_once_is_quoted(tmp_path):
    process = ServerProcess("broken", [sys.executable, "-c", "raise SystemExit('no disk')"], tmp_path / "log")

    with pytest.raises(ServerFailed, match=r"broken ended with 1:\nno disk"):
        process.wait_until(lambda: False)
    process.stop()


def test_program_that_is_never_ready_is_reported(tmp_path):
    process = ServerProcess("slow", [sys.executable, "-c", STUBBORN], tmp_path / "log")

    with pytest.raises(ServerFailed, match="slow does not answer"):
        process.wait_until(lambda: False, within=0.1)
    process.stop(signal.SIGKILL)


def test_program_that_ignores_signals_is_killed(tmp_path):
    process = ServerProcess("stubborn", [sys.executable, "-c", STUBBORN], tmp_path / "log")
    process.wait_until(lambda: "up" in process.log_tail())

    process.stop(within=0.1)
    process.stop()

    assert not process.running


def test_waiting_ends_at_the_timeout():
    with pytest.raises(ServerFailed, match=re.escape("still there (waited 0.05 s)")):
        wait_until(lambda: False, 0.05, "still there")


def test_free_ports_differ():
    assert 1 < len({free_port() for _ in range(5)})


def test_folder_is_reachable_if_others_may_traverse(tmp_path):
    made = folder()
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    assert not reachable(closed)
    made.cleanup()


def test_password_is_encoded_in_a_url():
    found = password()

    assert set(AWKWARD) & set(found)
    assert found != password()
