"""Several processes (pytest-xdist): the controller gathers once, and hands the observations to its workers."""

import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from opscheck.core.redaction import Secrets
from opscheck.gathering.snapshot import read_snapshot, write_snapshot
from opscheck.running.observations import Observations

_FILE = "observations.json"


def is_worker(config: pytest.Config) -> bool:
    """True in a process that xdist started."""
    return hasattr(config, "workerinput")


def is_controller(config: pytest.Config) -> bool:
    """True in the process that distributes items over workers."""
    return config.pluginmanager.hasplugin("dsession")


def hand_over(state: Observations) -> dict[str, Any]:
    """What a worker needs to judge as the controller would; its private `folder` lives as long as the run."""
    folder = Path(tempfile.mkdtemp(prefix="opscheck-"))
    # Nothing is hidden here: a worker must judge exactly what was observed.
    write_snapshot(folder / _FILE, state.gathered, taken_at=state.now, environment="", secrets=Secrets())
    # Builtins are all that xdist carries.
    return {
        "folder": str(folder),
        "now": state.now.isoformat(),
        "carriers": state.carriers,
        "tellers": state.tellers,
    }


def receive(config: pytest.Config, state: Observations) -> None:
    """Take the observations over, in a worker."""
    given = config.workerinput["opscheck"]  # type: ignore[attr-defined]  # xdist puts it there
    state.handed_over = read_snapshot(Path(given["folder"], _FILE), Secrets())
    state.now = datetime.fromisoformat(given["now"])
    state.carriers = given["carriers"]
    state.tellers = given["tellers"]


def hand_back(config: pytest.Config, state: Observations) -> None:
    """Give the controller what this worker has asked for itself, so that one process writes it down."""
    config.workeroutput["opscheck"] = state.remembering.hand_back()  # type: ignore[attr-defined]  # as above


def take_back(node: Any, state: Observations) -> None:
    """Take over what a worker has asked for itself; one that was killed hands nothing back."""
    handed_back = getattr(node, "workeroutput", {}).get("opscheck")
    if handed_back is not None:
        state.remembering.take_back(handed_back)
