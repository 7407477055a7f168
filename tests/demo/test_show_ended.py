"""`opscheck demo`, ended in the middle of a restore drill."""

import signal
import subprocess
import sys

import pytest

from opscheck.transport.processes import wait_until
from tests.servers.drills import traces_of_drills

__all__ = ["traces_of_drills"]

SHOW = """
import sys
from pathlib import Path
from opscheck.demo.show import show

sys.exit(show(faults=[], hold=False, output=Path(sys.argv[1]), write=lambda line: print(line, flush=True)))
"""


@pytest.fixture(name="shown")
def _shown(new_interpreter, tmp_path, traces):
    """The demo, in the middle of its drill."""
    process = subprocess.Popen(
        [sys.executable, "-c", SHOW, str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        wait_until(traces.folders, 120, "no drill was begun")
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=60)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_demo_ended_during_a_drill_leaves_nothing(shown, traces, number):
    shown.send_signal(number)
    said, _ = shown.communicate(timeout=60)

    assert 2 == shown.returncode, said
    assert said.endswith(f"Stopped ({number.name}); everything is cleaned up.\n")
    assert [] == list(traces.folder.iterdir())
    assert traces.none_left()
