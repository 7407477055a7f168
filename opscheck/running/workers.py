"""Several processes (pytest-xdist): the controller gathers once, and hands the observations to its workers."""

import shutil
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from opscheck.core.redaction import Secrets
from opscheck.gathering.snapshot import read_snapshot, write_snapshot
from opscheck.running.observations import Observations


@dataclass(frozen=True)
class Handover:
    """What a worker needs to judge as the controller would; the file is private and lives as long as the run."""

    folder: Path
    now: datetime
    carriers: dict[str, str]
    tellers: dict[str, str]

    @property
    def file(self) -> Path:
        """The observations, secrets included."""
        return self.folder / "observations.json"

    def for_worker(self) -> dict[str, Any]:
        """The same as builtins, which is all that xdist carries."""
        return {"file": str(self.file), "now": self.now.isoformat(), "carriers": self.carriers, "tellers": self.tellers}

    def remove(self) -> None:
        """Delete the file; every worker has read it or will never need it."""
        shutil.rmtree(self.folder, ignore_errors=True)


def is_worker(config: pytest.Config) -> bool:
    """True in a process that xdist started."""
    return hasattr(config, "workerinput")


def is_controller(config: pytest.Config) -> bool:
    """True in the process that distributes items over workers."""
    return config.pluginmanager.hasplugin("dsession")


def hand_over(state: Observations) -> Handover:
    """Write the observations down for the workers."""
    handover = Handover(Path(tempfile.mkdtemp(prefix="opscheck-")), state.now, state.carriers, state.tellers)
    # Nothing is hidden here: a worker must judge exactly what was observed.
    write_snapshot(handover.file, state.everything(), taken_at=state.now, environment="", secrets=Secrets())
    return handover


def receive(config: pytest.Config, state: Observations) -> None:
    """Take the observations over, in a worker."""
    given = config.workerinput["opscheck"]  # type: ignore[attr-defined]  # xdist puts it there
    state.handed_over = read_snapshot(Path(given["file"]), Secrets())
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
