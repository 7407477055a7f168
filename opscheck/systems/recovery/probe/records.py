"""The record of a drill as a JSON document, if the policy names a file; other records are in the state file."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from opscheck.core.observation import Observation, ProbeError, ProblemKind
from opscheck.core.query import Query
from opscheck.core.redaction import Secrets
from opscheck.core.target import Target
from opscheck.systems.recovery.drill_record import DRILL_SCHEMA, Drill, LastDrill
from opscheck.systems.recovery.target import DrillPlace, DrillRecords
from opscheck.transport.files import write_whole

_LARGEST = 4 * 2**20


class _Heading(msgspec.Struct, frozen=True, kw_only=True):
    schema: str


def open_session(target: DrillRecords, timeout_s: float) -> "DrillRecordsSession":  # noqa: ARG001 - a file is read
    """Connects to nothing: a missing record is an answer."""
    return DrillRecordsSession(target.record)


class DrillRecordsSession:
    """The record of one drill, or none."""

    def __init__(self, record: str | None) -> None:
        self._record = record

    def ask(self, query: Query[Any], timeout_s: float) -> Drill | None:  # noqa: ARG002 - a file is read
        """The newest drill on record; None without a record. Raises ProbeError."""
        if not isinstance(query, LastDrill):
            raise ProbeError(ProblemKind.UNSUPPORTED, f"records of drills do not answer {query.name}")
        drill = _read(Path(self._record)) if self._record is not None else None
        if drill is not None and drill.drill != query.drill:
            text = f"{self._record} is the record of {drill.drill}, and not of {query.drill}"
            raise ProbeError(ProblemKind.UNSUPPORTED, text, "give each drill a `record` of its own")
        return drill

    def close(self) -> None:
        """Nothing to close."""


def _read(path: Path) -> Drill | None:
    """The drill in the document; None without a document. Raises ProbeError."""
    try:
        if path.exists() and not path.is_file():
            raise ProbeError(ProblemKind.UNREADABLE, f"{path} is not a file", "name another file in `record`")
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        kind = ProblemKind.DENIED if isinstance(error, PermissionError) else ProblemKind.UNREADABLE
        raise ProbeError(kind, f"the record {path} cannot be read: {error.strerror}") from None
    try:
        if len(content) <= _LARGEST and msgspec.json.decode(content, type=_Heading).schema == DRILL_SCHEMA:
            return msgspec.json.decode(content, type=Drill)
    except msgspec.MsgspecError:
        pass
    text, advice = (
        f"{path} is not a drill record ({DRILL_SCHEMA})",
        "move it away, and do the drill: it writes a new one",
    )
    raise ProbeError(ProblemKind.UNREADABLE, text, advice)


def write_records(
    targets: Mapping[str, Target], observations: Mapping[Query[Any], Observation], environment: str, secrets: Secrets
) -> Iterable[str]:
    """Write the records of the drills among these observations. Yields a sentence for each that cannot be written."""
    for query, observation in observations.items():
        place = targets.get(query.target)
        if isinstance(place, DrillPlace) and place.record is not None and isinstance(observation.answer, Drill):
            try:
                _write(Path(place.record), observation.answer, environment, secrets)
            except OSError as error:
                yield f"the record of {observation.answer.drill} cannot be written to {place.record}: {error.strerror}"


def _write(path: Path, drill: Drill, environment: str, secrets: Secrets) -> None:
    recorded = msgspec.structs.replace(drill, passed_at=drill.began_at if drill.passed else _passed_before(path, drill))
    document = {
        "schema": DRILL_SCHEMA,
        "environment": environment,
        "passed": drill.passed,
        "recovered_s": drill.recovered_s,
        **msgspec.to_builtins(recorded),
    }
    write_whole(path, msgspec.json.format(msgspec.json.encode(secrets.clean_value(document)), indent=2) + b"\n")


def _passed_before(path: Path, drill: Drill) -> Any:
    """The time of the last passed drill, by the record before this one."""
    try:
        before = _read(path)
    except ProbeError:  # it is overwritten
        return None
    if before is None or before.drill != drill.drill:
        return None
    return before.began_at if before.passed else before.passed_at
