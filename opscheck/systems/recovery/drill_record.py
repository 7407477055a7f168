"""The record of a restore drill, the queries that yield one, and whether it has passed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

import msgspec

from opscheck.core.query import Permission, Query, Timestamp
from opscheck.core.units import format_duration, format_value
from opscheck.systems.postgres.server import MakeDatabases
from opscheck.systems.recovery.target import AssertionLimits, DrillLimits
from opscheck.systems.stores.names import name_template
from opscheck.systems.stores.target import S3Action

DRILL_SCHEMA = "opscheck.drill/v1"
"""What the document of a drill calls itself."""
DRILLS = "drills://state"
"""The target that stands for all that is remembered of drills."""
PHASES = ("find", "fetch", "start", "restore", "assert", "amcheck", "clean")
"""What a drill does, in this order. From the start of `fetch` to the end of `assert` is the time to recovery."""
FIND, FETCH, START, RESTORE, ASSERT, AMCHECK, CLEAN = PHASES
CLEANING_TAKES_AT_MOST_S = 30.0
"""How long a drill may take to end, after its time is over."""
_CLOCKS_S = 900.0
"""How far the clocks may be apart of where a backup was made and where it is restored."""
_KEPT_FOR = timedelta(days=400)


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """One phase of a drill, and how long it took."""

    name: str
    seconds: float


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a backup was not restored."""

    phase: str
    """Where it ended."""
    trouble: str
    """One of `TROUBLES`."""
    text: str


ABSENT, EMPTY, BROKEN, NEWER, REFUSED, LATE = TROUBLES = ("absent", "empty", "broken", "newer", "refused", "late")
"""
What a failure is about: the backup is gone meanwhile; there is nothing in it; it is cut off or damaged; a newer
PostgreSQL made it; the server refused a statement of it; time was over.
"""


class Asserted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one assertion yielded: a number or a time, and nothing else of the database."""

    name: str
    number: float | None = None
    """The number."""
    time: Timestamp | None = None
    """The time, where the assertion yields one."""
    problem: str = ""
    """Why there is neither."""


class Drill(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One drill, as far as it came."""

    drill: str
    """The id of its expectation."""
    began_at: Timestamp
    """When the fetching began; ages are those at this time."""
    key: str
    """The backup that was restored."""
    data_time: Timestamp | None = None
    """When the backup was begun, as its name says."""
    size: int = 0
    """How many bytes were fetched."""
    made_of: str = ""
    """The format, and what it was packed with: `custom`, `plain, gzip`."""
    dumped_from: str = ""
    """The version of the server that was dumped; empty where the dump does not say."""
    server: str = ""
    """The version of the server that it was restored into."""
    phases: tuple[Phase, ...] = ()
    newest: Timestamp | None = None
    """The time of the newest row, where requested."""
    newest_problem: str = ""
    """Why there is no such time."""
    assertions: tuple[Asserted, ...] = ()
    missing: tuple[str, ...] = ()
    """What the backup names and the scratch server does not have, so that it was left out: `role app`."""
    amcheck: str = ""
    """`sound`, or the damage; empty where it was not requested or not reached."""
    amcheck_missing: str = ""
    """Why tables and indexes could not be verified."""
    failure: Failure | None = None
    """What ended it early."""
    passed_at: Timestamp | None = None
    """In a document alone: when one began that passed, this one or the last one before it."""
    reasons: tuple[str, ...] = ()
    """Why it has not passed, by the limits of the policy of that time; empty where it has."""

    @property
    def passed(self) -> bool:
        """Whether the backup was restored, and everything kept its limits."""
        return not self.reasons

    @property
    def recovered_s(self) -> float | None:
        """The time to recovery; None where it was not recovered."""
        if self.failure is not None:
            return None
        return sum(phase.seconds for phase in self.phases if phase.name in {FETCH, START, RESTORE, ASSERT})


@dataclass(frozen=True)
class Assertion:
    """One question to the restored database."""

    name: str
    sql: str
    is_time: bool = False
    """True where it yields a time, and no number."""


@dataclass(frozen=True)
class LastDrill(Query[Drill | None], name="recovery.last_drill", remembered=True):
    """
    What is known of earlier drills of one expectation.

    The answer is the document that the newest one has left, where the target names one; those before it come as
    earlier answers, from the state file.
    """

    noted = False
    kept_whole_for: ClassVar[timedelta | None] = _KEPT_FOR

    drill: str

    @property
    def remembered_as(self) -> Query[Any]:
        """What is remembered is the same, whether a document is read too or not."""
        return LastDrill(target=DRILLS, drill=self.drill)

    def text(self) -> str:
        return f"the earlier drills of {self.drill}"


@dataclass(frozen=True)
class PerformDrill(Query[Drill], name="recovery.perform", remembered=True):
    """
    Restore one backup into a scratch server, run the assertions, and leave nothing behind.

    What it is restored into, and how much the drill may take, is said by its target.
    """

    kept_whole_for: ClassVar[timedelta | None] = _KEPT_FOR

    drill: str
    key: str
    store: str = ""
    """The target that it is fetched from."""
    scratch: str = ""
    """The target that it is restored into; empty for a server of the drill's own."""
    version: str = ""
    data_time: Timestamp | None = None
    assertions: tuple[Assertion, ...] = ()
    newest: str = ""
    """The SELECT that yields the time of the newest row; empty for none."""
    time_zone: str = "UTC"
    """The zone of times that have none."""
    amcheck: bool = False
    within_s: float = 3600.0

    @property
    def time_limit_s(self) -> float:
        """Its own limit, and what ending and cleaning may take after it."""
        return self.within_s + CLEANING_TAKES_AT_MOST_S

    @property
    def remembered_as(self) -> Query[Any]:
        """As one of the drills of its expectation, whichever backup it was."""
        return LastDrill(target=DRILLS, drill=self.drill)

    def permissions(self) -> tuple[Permission, ...]:
        """To read the backup, and to make a database on the scratch server."""
        return tuple(permission for _, permission in self.permissions_by_target())

    def permissions_by_target(self) -> tuple[tuple[str, Permission], ...]:
        """Those of the store, and of the scratch server."""
        read = S3Action("s3:GetObject", prefix=_prefix(self.key), on_objects=True)
        made = ((self.scratch, MakeDatabases()),) if self.scratch else ()
        return ((self.store, read), *made)

    def text(self) -> str:
        questions = len(self.assertions) + bool(self.newest)
        what = f" and ask it {questions} question{'' if questions == 1 else 's'}" if questions else ""
        return f"restore {self.key} into a scratch server{what}, within {format_duration(self.within_s)}"


def _prefix(key: str) -> str:
    """What keys of a template begin with; a key of its own is no template, and may have a % in it."""
    try:
        return name_template(key).prefix
    except ValueError:
        return key


def reasons(drill: Drill, limits: DrillLimits) -> tuple[str, ...]:
    """Why it has not passed; nothing where it has."""
    return tuple(_reasons(drill, limits))


def age_s(drill: Drill, at: datetime) -> float:
    """How old something is that was there at that time, when the drill began."""
    return (drill.began_at - at).total_seconds()


def ahead(drill: Drill, at: datetime) -> str:
    """How far in the future a time lies, in words; empty where it does not. What is to come is no young one."""
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
