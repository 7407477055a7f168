"""What the newest drill has left: its record, where the policy names one. Earlier ones are in the state file."""

from pathlib import Path
from typing import Any

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.query import Query
from opscheck.systems.recovery.drill_record import Drill, LastDrill
from opscheck.systems.recovery.record_files import read_record
from opscheck.systems.recovery.target import DrillRecords


def open_session(target: DrillRecords, timeout_s: float) -> "DrillRecordsSession":  # noqa: ARG001 - a file is read
    """Nothing is reached: a record that is not there is an answer."""
    return DrillRecordsSession(target.record)


class DrillRecordsSession:
    """The record of one drill, or none."""

    def __init__(self, record: str | None) -> None:
        self._record = record

    def ask(self, query: Query[Any], timeout_s: float) -> Drill | None:  # noqa: ARG002 - a file is read
        """The newest drill on record; None where there is no record. Raises ProbeError."""
        if not isinstance(query, LastDrill):
            raise ProbeError(ProblemKind.UNSUPPORTED, f"records of drills do not answer {query.name}")
        drill = read_record(Path(self._record)) if self._record is not None else None
        if drill is not None and drill.drill != query.drill:
            text = f"{self._record} is the record of {drill.drill}, and not of {query.drill}"
            raise ProbeError(ProblemKind.UNSUPPORTED, text, "give each drill a `record` of its own")
        return drill

    def close(self) -> None:
        """There is nothing to let go of."""
