"""recovery.drilled: a restore drill has passed recently."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any, ClassVar

from pydantic import Field

from opscheck.core.expectation import Expectation, Identifier
from opscheck.core.query import Query
from opscheck.core.remedy import Former, Remedy
from opscheck.core.target import Target
from opscheck.core.units import Duration, Graded
from opscheck.systems.recovery.drill_record import DRILLS, LastDrill
from opscheck.systems.recovery.target import DrillRecords

OVERDUE = Remedy(
    "Run the drill: until it passes, it is unknown whether a backup can be restored",
    "opscheck run -p POLICY --only {{ drill }} --drill --state FILE  # with the drill's policy, and one FILE",
)
FAILED = Remedy(
    "Find out why the drill fails, fix that, and run it again",
    "opscheck run -p POLICY --only {{ drill }} --drill --state FILE  # after fixing what it reports",
)


class Drilled(Expectation, check="recovery.drilled"):
    """
    A restore drill passed recently, and no later drill failed.

    It restores nothing: it reads the state file that `--state` names, or the record that the drill has written.
    """

    remedies = (OVERDUE, FAILED)
    # The drill's id is a field of the expectation.
    former_fact_names: ClassVar = {
        "overdue": Former("drill", OVERDUE),
        "failed": Former("drill", FAILED),
    }

    drill: Identifier
    """The id of the `recovery.drill` that must have passed, also in another policy of the same environment."""
    age: Graded[Duration]
    """The maximum age of the last passed drill."""
    record: Annotated[str, Field(min_length=1)] | None = None
    """The JSON document that the drill writes, if no state file keeps it."""

    def follow_up_queries(self, answer: Callable[[Query[Any]], Any]) -> Iterable[Query[Any]]:  # noqa: ARG002 - the query is always the same
        """The record of drills, read after a drill of the same run, to include it."""
        return [self.last]

    def described(self) -> Iterable[Query[Any]]:
        """The record of drills."""
        return [self.last]

    @property
    def last(self) -> LastDrill:
        """The record of drills."""
        return LastDrill(self._records.name, self.drill)

    @property
    def systems(self) -> tuple[Target, ...]:
        """The places of the records."""
        state = DrillRecords(name=DRILLS)
        return (state,) if self.record is None else (self._records, state)

    @property
    def _records(self) -> DrillRecords:
        if self.record is None:
            return DrillRecords(name=DRILLS)
        return DrillRecords(name=f"drills://{self.id}", record=self.record)
