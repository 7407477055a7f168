"""The record of a restore drill, the queries for it, and its verdict."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

import msgspec

from opscheck.core.query import Permission, Query, Timestamp
from opscheck.core.units import format_duration, format_value
from opscheck.core.words import counted
from opscheck.systems.postgres.server import MakeDatabases
from opscheck.systems.recovery.target import AssertionLimits, DrillLimits
from opscheck.systems.stores.names import name_template
from opscheck.systems.stores.target import S3Action

DRILL_SCHEMA = "opscheck.drill/v1"
"""The schema of the record's document."""
DRILLS = "drills://state"
"""The target for the drills in the state file."""
PHASES = ("find", "fetch", "start", "restore", "assert", "amcheck", "clean")
"""The phases of a drill, in order. The recovery time is from the start of `fetch` to the end of `assert`."""
FIND, FETCH, START, RESTORE, ASSERT, AMCHECK, CLEAN = PHASES
CLEANING_TAKES_AT_MOST_S = 30.0
"""The time for cleaning after the timeout of a drill."""
_CLOCKS_S = 900.0
"""The tolerance between the clocks where a backup was made and where it is restored."""
_KEPT_FOR = timedelta(days=400)


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """One phase of a drill, and its duration."""

    name: str
    seconds: float


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """The reason why a backup was not restored."""

    phase: str
    """The phase in which the drill ended."""
    trouble: str
    """One of `TROUBLES`."""
    text: str


ABSENT, EMPTY, BROKEN, NEWER, REFUSED, LATE = TROUBLES = ("absent", "empty", "broken", "newer", "refused", "late")
"""
The kinds of failures: the backup was deleted meanwhile; it is empty; it is truncated or corrupt; a newer PostgreSQL
made it; the server rejected one of its statements; the timeout.
"""


class Asserted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The result of one assertion: a number or a time, and no other data."""

    name: str
    number: float | None = None
    """The number."""
    time: Timestamp | None = None
    """The time, if the assertion returns one."""
    problem: str = ""
    """The reason for a missing result."""


class Drill(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One drill, also one that ended early."""

    drill: str
    """The id of its expectation."""
    began_at: Timestamp
    """The time when fetching began; ages are computed at this time."""
    key: str
    """The backup that was restored."""
    data_time: Timestamp | None = None
    """The time of the backup's data, by its name."""
    size: int = 0
    """The number of bytes to fetch."""
    made_of: str = ""
    """The format and the compression: `custom`, `plain, gzip`."""
    dumped_from: str = ""
    """The version of the dumped server; empty when the dump does not contain it."""
    server: str = ""
    """The version of the scratch server."""
    phases: tuple[Phase, ...] = ()
    newest: Timestamp | None = None
    """The time of the newest row, if requested."""
    newest_problem: str = ""
    """The reason for a missing time."""
    assertions: tuple[Asserted, ...] = ()
    missing: tuple[str, ...] = ()
    """Objects that were not restored, because something is missing on the scratch server: `role app`."""
    amcheck: str = ""
    """`sound`, or the damage; empty when not requested or not reached."""
    amcheck_missing: str = ""
    """The reason why tables and indexes could not be verified."""
    failure: Failure | None = None
    """The failure that ended it."""
    passed_at: Timestamp | None = None
    """Only in a document: the time when the last passed drill began."""
    reasons: tuple[str, ...] = ()
    """The reasons why it has not passed, by the limits of the policy of that time; empty when it has passed."""

    @property
    def passed(self) -> bool:
        """True when the backup was restored, within all limits."""
        return not self.reasons

    @property
    def recovered_s(self) -> float | None:
        """The recovery time; None after a failure."""
        if self.failure is not None:
            return None
        return sum(phase.seconds for phase in self.phases if phase.name in {FETCH, START, RESTORE, ASSERT})


@dataclass(frozen=True)
class Assertion:
    """One query to the restored database."""

    name: str
    sql: str
    is_time: bool = False
    """True when it returns a time instead of a number."""


@dataclass(frozen=True)
class LastDrill(Query[Drill | None], name="recovery.last_drill", remembered=True):
    """
    The records of earlier drills of one expectation.

    The answer is the document of the newest one, if the target names a file; those before it are earlier answers, from
    the state file.
    """

    noted = False
    kept_whole_for: ClassVar[timedelta | None] = _KEPT_FOR

    drill: str

    @property
    def remembered_as(self) -> Query[Any]:
        """The same key in the state file, with and without a document."""
        return LastDrill(target=DRILLS, drill=self.drill)

    def text(self) -> str:
        return f"the earlier drills of {self.drill}"


@dataclass(frozen=True)
class PerformDrill(Query[Drill], name="recovery.perform", remembered=True):
    """
    Restore one backup into a scratch server, run the assertions, and leave nothing behind.

    The target defines the scratch server and the limits of the drill.
    """

    kept_whole_for: ClassVar[timedelta | None] = _KEPT_FOR

    drill: str
    key: str
    store: str = ""
    """The target to fetch the backup from."""
    scratch: str = ""
    """The target to restore into; empty for the drill's own server."""
    version: str = ""
    data_time: Timestamp | None = None
    assertions: tuple[Assertion, ...] = ()
    newest: str = ""
    """The SELECT that returns the time of the newest row; empty for none."""
    time_zone: str = "UTC"
    """The zone of times without a zone."""
    amcheck: bool = False
    within_s: float = 3600.0

    @property
    def time_limit_s(self) -> float:
        """Its timeout, and the time for cleaning after it."""
        return self.within_s + CLEANING_TAKES_AT_MOST_S

    @property
    def remembered_as(self) -> Query[Any]:
        """The key of all drills of its expectation, of any backup."""
        return LastDrill(target=DRILLS, drill=self.drill)

    def permissions(self) -> tuple[Permission, ...]:
        """To read the backup, and to create a database on the scratch server."""
        return tuple(permission for _, permission in self.permissions_by_target())

    def permissions_by_target(self) -> tuple[tuple[str, Permission], ...]:
        """The permissions on the store, and on the scratch server."""
        read = S3Action("s3:GetObject", prefix=_prefix(self.key), on_objects=True)
        made = ((self.scratch, MakeDatabases()),) if self.scratch else ()
        return ((self.store, read), *made)

    def text(self) -> str:
        queries = len(self.assertions) + bool(self.newest)
        what = f" and send it {counted(queries, 'assertion')}" if queries else ""
        return f"restore {self.key} into a scratch server{what}, within {format_duration(self.within_s)}"


def _prefix(key: str) -> str:
    """The prefix of a template's keys; a single key is not a template, and may contain a %."""
    try:
        return name_template(key).prefix
    except ValueError:
        return key


def reasons(drill: Drill, limits: DrillLimits) -> tuple[str, ...]:
    """The reasons why it has not passed; empty when it has passed."""
    return tuple(_reasons(drill, limits))


def age_s(drill: Drill, at: datetime) -> float:
    """The age of `at`, when the drill began."""
    return (drill.began_at - at).total_seconds()


def ahead(drill: Drill, at: datetime) -> str:
    """The text for a time in the future, which would look recent; empty for other times."""
    seconds = -age_s(drill, at)
    return f"in the future: {format_duration(seconds)} ahead of the drill" if seconds > _CLOCKS_S else ""


def _reasons(drill: Drill, limits: DrillLimits) -> Iterator[str]:
    if drill.failure is not None:
        yield f"{drill.failure.phase}: {drill.failure.text}"
        return
    recovered, most = drill.recovered_s, limits.recovered_within_s
    if recovered is not None and most is not None and recovered > most:
        yield f"recovered in {format_duration(recovered)}, expected <= {format_duration(most)}"
    for what, at in (("the backup's data", drill.data_time), ("the newest row", drill.newest)):
        if at is not None:
            yield from _too_old(drill, what, at, limits.newest_within_s)
    if drill.newest_problem:
        yield f"the newest row: {drill.newest_problem}"
    for asserted in drill.assertions:
        yield from _broken(drill, asserted, limits.assertions.get(asserted.name, AssertionLimits()))
    if drill.amcheck not in {"", "sound"}:
        yield f"pg_amcheck: {drill.amcheck}"
    if drill.amcheck_missing:
        yield f"tables and indexes were not verified: {drill.amcheck_missing}"


def _too_old(drill: Drill, what: str, at: datetime, most: float | None) -> Iterator[str]:
    age = age_s(drill, at)
    if future := ahead(drill, at):
        yield f"{what} is {future}"
    if most is not None and age > most:
        yield f"{what} is {format_duration(age)} old, expected <= {format_duration(most)}"


def _broken(drill: Drill, asserted: Asserted, limits: AssertionLimits) -> Iterator[str]:
    if asserted.problem:
        yield f"{asserted.name}: {asserted.problem}"
    if asserted.time is not None:
        yield from _too_old(drill, asserted.name, asserted.time, limits.newest_within_s)
    number = asserted.number
    if number is None:
        return
    if limits.at_least is not None and number < limits.at_least:
        yield f"{asserted.name} {format_value(number)}, expected >= {format_value(limits.at_least)}"
    if limits.at_most is not None and number > limits.at_most:
        yield f"{asserted.name} {format_value(number)}, expected <= {format_value(limits.at_most)}"
