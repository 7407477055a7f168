"""recovery.drill: a backup is restored, in time, and contains what it should."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.operators import Number
from opscheck.core.query import Query
from opscheck.core.remedy import Former, Remedy
from opscheck.core.target import Target
from opscheck.core.units import ByteSize, Duration, Graded, Timeout, format_value
from opscheck.systems.backup.series import LIST_BUCKET, LIST_FOLDER, LOCATION_FACTS, Backup, OfSeries, Series
from opscheck.systems.postgres.query import SelectStatement
from opscheck.systems.recovery.drill_record import CLEANING_TAKES_AT_MOST_S, DRILLS, Assertion, PerformDrill
from opscheck.systems.recovery.target import AssertionLimits, DrillLimits, DrillPlace, DrillRecords, ScratchServer
from opscheck.systems.stores.target import former_of_bucket

_WITHIN_WHERE_NOTHING_IS_SAID_S = 3600.0
_WITHIN_OF_RTO = 2

_DAMAGED = "Make a good backup now, then find out why this one cannot be restored"
DAMAGED = Remedy(
    _DAMAGED,
    "aws {{ endpoint_option }} s3 cp {{ url }} damaged && pg_restore -f /dev/null damaged  # prints where it breaks",
)
DAMAGED_FILE = Remedy(
    _DAMAGED, "pg_restore -f /dev/null {{ file }}  # prints where it breaks; of a plain dump, read the last lines"
)
NEWER_DUMP = Remedy(
    "Restore into a PostgreSQL that is as new as the one that was dumped",
    "pip install --upgrade 'opscheck[drill]'  # or name a scratch server of PostgreSQL {{ newer }} or newer",
)
UNMET = Remedy(
    "Find the data that the restored database lacks",
    "printf '%s\\n' {{ question }} ';' | psql by_hand  # the database that the backup is restored into by hand",
)
AGAIN = Remedy(
    "Drill again",
    "opscheck run -p POLICY --only {{ id }} --drill --state FILE  # with the policy's own file, and one FILE",
)


class DrillAssertion(BaseModel):
    """One query to the restored database, and its expected result."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1)]
    """Name in reports."""
    sql: SelectStatement
    """One SELECT that yields one number, or with `newest_within` one time; nothing else of the database is kept."""
    at_least: Number | None = None
    """The smallest number that is all right."""
    at_most: Number | None = None
    """The largest number that is all right."""
    equals: Number | None = None
    """The number that it must be."""
    newest_within: Duration | None = None
    """Maximum age of the time that the statement returns, such as max(created_at)."""

    @property
    def is_time(self) -> bool:
        """True when it returns a time."""
        return self.newest_within is not None

    def limits(self) -> AssertionLimits:
        """The expected result, as text."""
        if self.newest_within is not None:
            return AssertionLimits(newest_within_s=float(self.newest_within))
        if self.equals is not None:
            return AssertionLimits(at_least=self.equals, at_most=self.equals)
        return AssertionLimits(at_least=self.at_least, at_most=self.at_most)

    def __str__(self) -> str:
        """The name and the limits, in words."""
        limits = {">=": self.at_least, "<=": self.at_most, "equals": self.equals}
        texts = [f"{words} {format_value(limit)}" for words, limit in limits.items() if limit is not None]
        if self.newest_within is not None:
            texts.append(f"newest within {self.newest_within}")
        return f"{self.name} {', '.join(texts)}"

    @model_validator(mode="after")
    def _one_kind_of_limit(self) -> Self:
        numbers = self.at_least is not None or self.at_most is not None
        if numbers + (self.equals is not None) + self.is_time != 1:
            raise PydanticCustomError("assertion", "`at_least` and `at_most`, or `equals`, or `newest_within`")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise PydanticCustomError("assertion_range", "`at_least` that is no more than `at_most`")
        return self


class RestoreDrill(OfSeries, check="recovery.drill"):
    """
    The newest backup can be restored within the RTO, and contains the expected data.

    It is fetched, restored into a scratch server and queried; only the numbers of the report are kept.
    """

    changes_its_target = True
    remedies = (LIST_BUCKET, LIST_FOLDER, DAMAGED, DAMAGED_FILE, NEWER_DUMP, UNMET, AGAIN)
    fact_names: ClassVar = {
        **LOCATION_FACTS,
        "url": "the backup that cannot be restored, as s3://…",
        "file": "its path, in a folder",
        "newer": "the version of the server that was dumped",
        "question": "the SELECT of an assertion, on one line",
    }
    former_fact_names: ClassVar = {
        **former_of_bucket("listed", "location", LIST_BUCKET),
        **former_of_bucket("damaged", "url", DAMAGED),
        "damaged_file": Former("file", DAMAGED_FILE),
    }

    scratch: ScratchServer
    """
    What it is restored into: `embedded`, a PostgreSQL that is started for the drill on this machine, or the name of a
    target of kind postgres with `scratch: true`, where the drill makes a database of its own and drops it.
    """
    age: Graded[Duration] | None = None
    """Maximum age of the backup's data and of its newest row when the drill begins: recovery point objective (RPO)."""
    newest: SelectStatement | None = None
    """A SELECT that yields the time of the newest row, such as max(created_at); its age is held to `age` as well."""
    rto: Graded[Duration] | None = None
    """Maximum time from the first fetched byte to the last query result: recovery time objective (RTO)."""
    assertions: tuple[DrillAssertion, ...] = ()
    """Queries to the restored database, in read-only transactions."""
    amcheck: bool = False
    """
    Whether tables and indexes are verified with pg_amcheck. The scratch server must have the extension amcheck, which
    is in PostgreSQL's contrib package; without it the verdict is unknown.
    """
    within: Timeout | None = None
    """When the drill is given up; twice the largest `rto` by default."""
    disk: ByteSize | None = None
    """Minimum free space on this machine at the start; by default estimated from the size of the backup."""
    record: Annotated[str, Field(min_length=1)] | None = None
    """Where the record of the drill is written, as a JSON document that `recovery.drilled` reads."""

    def follow_up_queries(self, answer: Callable[[Query[Any]], Any]) -> Iterable[Query[Any]]:
        """The drill itself, of the newest backup; none where there is no backup."""
        newest = self.chosen(answer).newest
        return [] if newest is None else [self.drill_of(newest)]

    def described(self) -> Iterable[Query[Any]]:
        """The listing, and the drill of whichever backup is the newest."""
        return [*self.queries(), self.drill_of(None)]

    def chosen(self, answer: Callable[[Query[Any]], Any]) -> Series:
        """The backups of which the newest is restored. Raises CouldNotObserve."""
        (series,) = self.each_series(answer)
        return series

    def drill_of(self, backup: Backup | None) -> PerformDrill:
        """The drill of one backup; for display, of the newest without one."""
        return PerformDrill(
            self.place.name,
            drill=self.id,
            key=self.names if backup is None else backup.key,
            store=self.target.name,
            scratch=self.scratch.server.name if self.scratch.server is not None else "",
            version=backup.stored.version if backup is not None else "",
            data_time=backup.at if backup is not None else None,
            assertions=tuple(Assertion(one.name, one.sql, is_time=one.is_time) for one in self.assertions),
            newest=self.newest or "",
            time_zone=self.time_zone,
            amcheck=self.amcheck,
            within_s=self.within_s,
        )

    @property
    def place(self) -> DrillPlace:
        """Where it is done."""
        return DrillPlace(
            name=f"drill://{self.id}",
            store=self.target,
            scratch=self.scratch.server,
            disk_bytes=None if self.disk is None else float(self.disk),
            record=self.record,
            limits=DrillLimits(
                recovered_within_s=_mildest(self.rto),
                newest_within_s=_mildest(self.age),
                assertions={one.name: one.limits() for one in self.assertions},
            ),
        )

    @property
    def systems(self) -> tuple[Target, ...]:
        """The store, the place of the drill, and what keeps it."""
        return (self.target, self.place, DrillRecords(name=DRILLS))

    @property
    def within_s(self) -> float:
        """When it is given up."""
        if self.within is not None:
            return float(self.within)
        if self.rto is None:
            return _WITHIN_WHERE_NOTHING_IS_SAID_S
        return _WITHIN_OF_RTO * max(float(limit) for _, limit in self.rto.steps)

    @property
    def extra_time_s(self) -> float:
        """All that a drill may take."""
        return self.within_s + CLEANING_TAKES_AT_MOST_S

    @field_validator("assertions")
    @classmethod
    def _each_name_once(cls, assertions: tuple[DrillAssertion, ...]) -> tuple[DrillAssertion, ...]:
        if len({one.name for one in assertions}) < len(assertions):
            raise PydanticCustomError("assertion_twice", "each assertion under a name of its own")
        return assertions

    @model_validator(mode="after")
    def _one_backup(self) -> Self:
        if self.template.has_series and len(self.series) != 1:
            raise PydanticCustomError("one_series", "one series: a drill restores one backup, and each has its own")
        return self

    @model_validator(mode="after")
    def _the_newest_row_is_judged(self) -> Self:
        if self.newest is not None and self.age is None:
            raise PydanticCustomError("newest_unjudged", "`age` with `newest`: the maximum age of the newest row")
        return self

    @model_validator(mode="after")
    def _it_can_be_late(self) -> Self:
        longest = max((float(step) for _, step in self.rto.steps), default=0.0) if self.rto is not None else 0.0
        if self.within is not None and self.within < longest:
            raise PydanticCustomError("within_rto", "`within` at least as long as the largest `rto`")
        return self


def _mildest(limit: Graded[Duration] | None) -> float | None:
    return None if limit is None else float(limit.steps[0][1])
