"""The record of a drill as a JSON document, where the policy names a file for it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from opscheck.core.observation import Observation, ProbeError, ProblemKind
from opscheck.core.query import Query
from opscheck.core.redaction import Secrets
from opscheck.core.target import Target
from opscheck.systems.recovery.drill_record import DRILL_SCHEMA, Drill
from opscheck.systems.recovery.target import DrillPlace
from opscheck.transport.files import write_whole

_LARGEST = 4 * 2**20
_ANEW = "move it away, and do the drill: it writes a new one"


class _Heading(msgspec.Struct, frozen=True, kw_only=True):
    schema: str


def read_record(path: Path) -> Drill | None:
    """The drill in the document; None where there is no document. Raises ProbeError."""
    try:
        if path.exists() and not path.is_file():
            raise ProbeError(ProblemKind.UNREADABLE, f"{path} is no file", "name another file in `record`")
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
    raise ProbeError(ProblemKind.UNREADABLE, f"{path} is no record of a drill ({DRILL_SCHEMA})", _ANEW)


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
    """When the last one passed, as the record before this one knows."""
    try:
        before = read_record(path)
    except ProbeError:  # it is overwritten
        return None
    if before is None or before.drill != drill.drill:
        return None
    return before.began_at if before.passed else before.passed_at
