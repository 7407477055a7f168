"""
The state file: answers of earlier runs, for queries whose answers need an interval.

SQLite keeps it, so that two runs at once take turns, and a run that is killed leaves it as it was before.
"""

import hashlib
import json
import os
import sqlite3
import zlib
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from opscheck.core.observation import Observation, Sample
from opscheck.core.query import Query
from opscheck.core.redaction import Secrets
from opscheck.core.target import Target
from opscheck.gathering.retention import OLDEST, thinned

SCHEMA_VERSION = 1
"""The schema version; a change of the tables below increments it."""
APPLICATION_ID = 0x6F707363
"""`opsc`: identifies a database as a state file; other databases are not touched."""

_BUSY_S = 5.0
_BEGIN_ANEW = "move it away; the next run creates a new one"
_OTHER_SHAPE = "they were written by another version of opscheck"
_SERIES = """
CREATE TABLE series (
  id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, environment TEXT NOT NULL, target TEXT NOT NULL, query TEXT NOT NULL
)
"""
_SAMPLES = """
CREATE TABLE samples (
  series INTEGER NOT NULL REFERENCES series (id), taken_at INTEGER NOT NULL, answer BLOB NOT NULL,
  PRIMARY KEY (series, taken_at)
)
"""
_BEGINNING = (
    _SERIES,
    _SAMPLES,
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
# Created when first needed, so that a file of an earlier version gets it too; that version ignores it.
_KEEPING = """
CREATE TABLE IF NOT EXISTS keeping (series INTEGER PRIMARY KEY REFERENCES series (id), microseconds INTEGER NOT NULL)
"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class StateError(Exception):
    """The state file cannot be read or written; the text contains the reason and the next step."""


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """One stored answer, made of builtins, so that it can come from another process."""

    key: bytes
    environment: str
    target: str
    query: str
    taken_at: int
    """Microseconds since 1970-01-01 UTC."""
    answer: bytes
    kept_whole_for: int | None = None
    """Retention in microseconds; None for thinned samples."""


class Memory:
    """The state file of a run."""

    def __init__(self, path: Path, environment: str, targets: Mapping[str, Target], secrets: Secrets) -> None:
        self.path = path
        self._environment = environment
        self._targets = targets
        self._secrets = secrets

    def recall(self, observations: Mapping[Query[Any], Observation]) -> dict[Query[Any], Observation]:
        """These observations, each with its earlier samples. Raises StateError."""
        with self._telling("read"), self._connected(create=False) as connection:
            if connection is None:
                return dict(observations)
            connection.execute("BEGIN")
            if not _is_ours(connection):
                return dict(observations)
            return {query: self._recalled(connection, query, one) for query, one in observations.items()}

    def note(self, query: Query[Any], observation: Observation) -> Note:
        """The answer as it is stored: without secrets."""
        answer = msgspec.json.encode(self._secrets.clean_value(observation.answer))
        query = query.remembered_as
        target = self._targets[query.target]
        return Note(
            key=self._key(query),
            environment=self._secrets.clean(self._environment),
            target=self._secrets.clean(f"{target.name} ({target.kind}): {target.address}"),
            query=self._secrets.clean(query.text()),
            taken_at=_microseconds(observation.taken_at),
            answer=zlib.compress(answer),
            kept_whole_for=None if query.kept_whole_for is None else query.kept_whole_for // _MICROSECOND,
        )

    def keep(self, notes: Iterable[Note]) -> None:
        """Write these samples and delete expired ones, in one transaction. Raises StateError."""
        with self._telling("written"), self._connected(create=True) as connection:
            assert connection is not None  # noqa: S101 - the file was opened for creation
            connection.execute("BEGIN IMMEDIATE")
            if not _is_ours(connection):
                for statement in _BEGINNING:
                    connection.execute(statement)
            connection.execute(_KEEPING)
            for note in notes:
                _insert(connection, note)
            _drop_old(connection)
            connection.execute("COMMIT")

    def _recalled(self, connection: sqlite3.Connection, query: Query[Any], observation: Observation) -> Observation:
        rows = connection.execute(
            "SELECT taken_at, answer FROM samples JOIN series ON series.id = samples.series"
            " WHERE key = ? AND taken_at < ? ORDER BY taken_at",
            (self._key(query), _microseconds(observation.taken_at)),
        ).fetchall()
        samples = tuple(sample for row in rows if (sample := self._sample(query, *row)) is not None)
        if rows and not samples:
            text = f"the samples of {query.name} in the state file {self.path} cannot be read: {_OTHER_SHAPE}"
            return msgspec.structs.replace(observation, forgotten=text)
        return msgspec.structs.replace(observation, earlier=samples)

    def _sample(self, query: Query[Any], taken_at: int, answer: bytes) -> Sample[Any] | None:
        try:
            written = zlib.decompress(answer)
            decoded = msgspec.json.decode(written, type=query.answer)
            if b"${" in written:  # redacting an answer of thousands of rows is slow
                decoded = self._secrets.restore_value(decoded)
            return Sample(taken_at=_EPOCH + taken_at * _MICROSECOND, answer=decoded)
        except (zlib.error, msgspec.MsgspecError, UnicodeError, OverflowError, TypeError):
            return None

    def _key(self, query: Query[Any]) -> bytes:
        """
        The key of a query to a system.

        The name of a target is not enough: the same policy is used for several systems, by its variables. That is
        also why nothing is redacted here: the address cannot be read from a digest.
        """
        query = query.remembered_as
        target = self._targets[query.target]
        place = [self._environment, target.name, target.kind, target.address]
        asked = [query.name, msgspec.to_builtins(asdict(query))]
        return hashlib.sha256(json.dumps([place, asked], sort_keys=True).encode()).digest()

    @contextmanager
    def _connected(self, *, create: bool) -> Generator[sqlite3.Connection | None]:
        if create:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        elif not _exists(self.path):
            yield None
            return
        if not self.path.is_file():
            raise StateError("not a regular file")
        # Not read-only: opening the file rolls back the transaction of a killed run.
        address = f"{self.path.absolute().as_uri()}?mode=rw"
        connection = sqlite3.connect(address, uri=True, timeout=_BUSY_S, isolation_level=None)
        try:
            connection.execute("PRAGMA auto_vacuum = FULL")  # only for a new file: it shrinks again
            yield connection
        finally:
            connection.close()

    @contextmanager
    def _telling(self, what: str) -> Generator[None]:
        try:
            yield
        except (StateError, OSError, sqlite3.Error) as error:
            raise StateError(f"the state file {self.path} cannot be {what}: {_reason(error)}") from error


def _exists(path: Path) -> bool:
    """Like Path.exists, but raises OSError for a path that cannot be inspected."""
    try:
        path.stat()
    except FileNotFoundError:
        return False
    return True


def _is_ours(connection: sqlite3.Connection) -> bool:
    """True for a state file, False for an empty one. Raises StateError for any other file."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not tables and not application and not version:
        return False
    if application != APPLICATION_ID:
        raise StateError(f"a database of another program; name another file, or {_BEGIN_ANEW}")
    if version != SCHEMA_VERSION:
        text = f"it was written by another version of opscheck (schema {version}, this one knows {SCHEMA_VERSION})"
        raise StateError(f"{text}; use that one, or {_BEGIN_ANEW}")
    return True


def _insert(connection: sqlite3.Connection, note: Note) -> None:
    named = note.environment, note.target, note.query
    connection.execute(
        "INSERT INTO series (key, environment, target, query) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
        (note.key, *named),
    )
    (series,) = connection.execute("SELECT id FROM series WHERE key = ?", (note.key,)).fetchone()
    connection.execute("INSERT OR REPLACE INTO samples VALUES (?, ?, ?)", (series, note.taken_at, note.answer))
    if note.kept_whole_for is None:
        _thin(connection, series, _EPOCH + note.taken_at * _MICROSECOND)
    else:
        connection.execute("INSERT OR REPLACE INTO keeping VALUES (?, ?)", (series, note.kept_whole_for))


def _thin(connection: sqlite3.Connection, series: int, now: datetime) -> None:
    rows = connection.execute("SELECT taken_at FROM samples WHERE series = ?", (series,))
    taken = {_EPOCH + taken_at * _MICROSECOND for (taken_at,) in rows}
    dropped = taken - thinned(taken, now)
    connection.executemany(
        "DELETE FROM samples WHERE series = ? AND taken_at = ?", [(series, _microseconds(time)) for time in dropped]
    )


def _drop_old(connection: sqlite3.Connection) -> None:
    """Samples of removed queries are not thinned; they expire here."""
    now, longest = _microseconds(datetime.now(UTC)), OLDEST // _MICROSECOND
    connection.execute(
        "DELETE FROM samples WHERE taken_at < ? - coalesce("
        "(SELECT microseconds FROM keeping WHERE keeping.series = samples.series), ?)",
        (now, longest),
    )
    connection.execute("DELETE FROM series WHERE id NOT IN (SELECT series FROM samples)")
    connection.execute("DELETE FROM keeping WHERE series NOT IN (SELECT series FROM samples)")


def _microseconds(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND


def _reason(error: Exception) -> str:
    if isinstance(error, FileExistsError):
        return "its folder is a file"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
        return f"locked by another run for {_BUSY_S:g}s"
    # Not an OperationalError, such as a full disk: the file itself is corrupt.
    if type(error) is sqlite3.DatabaseError:
        return f"{error}; {_BEGIN_ANEW}"
    return str(error)
