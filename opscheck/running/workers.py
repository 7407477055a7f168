"""Several processes (pytest-xdist): the controller gathers once and passes the observations to its workers."""

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
    """True in a worker process of xdist."""
    return hasattr(config, "workerinput")


def is_controller(config: pytest.Config) -> bool:
    """True in the process that distributes items to workers."""
    return config.pluginmanager.hasplugin("dsession")


def hand_over(state: Observations) -> dict[str, Any]:
    """The input of a worker, so that it judges like the controller; its private `folder` exists during the run."""
    folder = Path(tempfile.mkdtemp(prefix="opscheck-"))
    # Not redacted: a worker must judge the exact observations.
    write_snapshot(folder / _FILE, state.gathered, taken_at=state.now, environment="", secrets=Secrets())
    # xdist sends only builtins.
    return {
        "folder": str(folder),
        "now": state.now.isoformat(),
        "carriers": state.carriers,
        "tellers": state.tellers,
    }


def receive(config: pytest.Config, state: Observations) -> None:
    """Load the observations, in a worker."""
    given = config.workerinput["opscheck"]  # type: ignore[attr-defined]  # xdist puts it there
    state.handed_over = read_snapshot(Path(given["folder"], _FILE), Secrets())
    state.now = datetime.fromisoformat(given["now"])
    state.carriers = given["carriers"]
    state.tellers = given["tellers"]


def hand_back(config: pytest.Config, state: Observations) -> None:
    """Return the observations of this worker to the controller, so that one process writes them."""
    config.workeroutput["opscheck"] = state.remembering.hand_back()  # type: ignore[attr-defined]  # as above


def take_back(node: Any, state: Observations) -> None:
    """Add the observations of a worker; a killed worker returns nothing."""
    handed_back = getattr(node, "workeroutput", {}).get("opscheck")
    if handed_back is not None:
        state.remembering.take_back(handed_back)
