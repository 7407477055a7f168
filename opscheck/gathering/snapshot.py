"""Snapshot files: observations to judge later, elsewhere, or with another policy."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec

from opscheck.core.exit_codes import UserError
from opscheck.core.observation import Observation, Problem, ProblemKind
from opscheck.core.query import Query
from opscheck.core.redaction import Secrets
from opscheck.transport.files import write_whole

SNAPSHOT_SCHEMA = "opscheck.snapshot/v1"


class SnapshotError(UserError):
    """A snapshot file that cannot be judged; the text contains the next step."""


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    query: dict[str, Any]
    observation: Any


class _File(msgspec.Struct, frozen=True, kw_only=True):
    schema: str
    taken_at: Annotated[datetime, msgspec.Meta(tz=True)]
    environment: str
    observations: list[_Entry]


class Snapshot:
    """The observations of an earlier run by query."""

    def __init__(self, file: _File, secrets: Secrets) -> None:
        self.taken_at = file.taken_at
        self.environment = file.environment
        self._secrets = secrets
        self._entries = {_key(entry.name, entry.query): entry.observation for entry in file.observations}

    def get(self, query: Query[Any]) -> Observation | None:
        """The observation of `query`; None when the snapshot does not contain it."""
        raw = self._entries.get(_cleaned_key(query, self._secrets))
        if raw is None:
            return None
        try:
            observation = msgspec.convert(raw, Observation)
            if observation.problem is not None:
                return observation
            return _typed(observation, query)
        except msgspec.ValidationError as error:
            # An edited file, or a file of another version.
            text = f"the snapshot's answer to {query.text()} cannot be read: {error}"
            return self._without_answer(text)

    def find(self, query: Query[Any]) -> Observation:
        """The observation of `query`, with a problem when the snapshot does not contain it."""
        if (observation := self.get(query)) is not None:
            return observation
        text = f"the snapshot of {self.taken_at:%Y-%m-%d %H:%M} UTC does not contain {query.text()}"
        return self._without_answer(text)

    def _without_answer(self, text: str) -> Observation:
        advice = "take a new one with --save and this policy"
        problem = Problem(kind=ProblemKind.UNSUPPLIED, text=text, advice=advice)
        return Observation(taken_at=self.taken_at, duration_s=0.0, problem=problem)


def write_snapshot(
    path: Path,
    observations: Mapping[Query[Any], Observation],
    *,
    taken_at: datetime,
    environment: str,
    secrets: Secrets,
) -> None:
    """Write every observation without secrets, readable only by its owner. Raises OSError."""
    # Text by text and not the whole file: a port number from the environment stays a number.
    entries = [
        _Entry(
            name=query.name,
            query=secrets.clean_value(msgspec.to_builtins(asdict(query))),
            observation=secrets.clean_value(observation),
        )
        for query, observation in observations.items()
    ]
    file = _File(
        schema=SNAPSHOT_SCHEMA, taken_at=taken_at, environment=secrets.clean(environment), observations=entries
    )
    write_whole(path, msgspec.json.encode(file), mode=0o600)


def read_snapshot(path: Path, secrets: Secrets) -> Snapshot:
    """Read a snapshot file. Raises SnapshotError."""
    try:
        file = msgspec.json.decode(path.read_bytes(), type=_File)
    except OSError as error:
        raise SnapshotError(f"{path}: the snapshot cannot be read: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise SnapshotError(f"{path}: not an opscheck snapshot file: {error}") from error
    if file.schema != SNAPSHOT_SCHEMA:
        raise SnapshotError(f"{path}: expected {SNAPSHOT_SCHEMA}, got {file.schema}; take a new one with --save")
    return Snapshot(file, secrets)


def _typed(observation: Observation, query: Query[Any]) -> Observation:
    """The observation with its answers in their own types. Raises msgspec.ValidationError."""
    earlier = (
        msgspec.structs.replace(sample, answer=msgspec.convert(sample.answer, query.answer))
        for sample in observation.earlier
    )
    answer = msgspec.convert(observation.answer, query.answer)
    return msgspec.structs.replace(observation, answer=answer, earlier=tuple(earlier))


def _key(name: str, fields: object) -> str:
    return f"{name} {json.dumps(fields, sort_keys=True)}"


def _cleaned_key(query: Query[Any], secrets: Secrets) -> str:
    # The file has no secrets, so a query with a value from the environment is found under its redacted form.
    return _key(query.name, secrets.clean_value(msgspec.to_builtins(asdict(query))))
