"""What can be expected of restore drills: that one has passed not long ago."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any, ClassVar

from pydantic import Field

from opscheck.core.expectation import Expectation, Identifier, Remediation
from opscheck.core.query import Query
from opscheck.core.target import Target
from opscheck.core.units import Duration, Graded
from opscheck.systems.recovery.queries import DRILLS, LastDrill
from opscheck.systems.recovery.target import DrillRecords


class Drilled(Expectation, check="recovery.drilled"):
    """
    A restore drill has passed not too long ago, and none has failed since.

    Nothing is restored for it: what is known of drills is in the state file that `--state` names, or in the record
    that the drill has written.
    """

    fact_names: ClassVar = {
        "overdue": "the id of the drill, when it must be done again",
        "failed": "the id of the drill, when the last one has failed",
    }
    default_remediation = Remediation(
        summary="Do the drill, and mend what makes it fail: until then nobody knows whether a backup can be restored",
        commands=(
            "opscheck run -p POLICY --only {{ overdue }} --drill --state FILE  # with the drill's policy, and one FILE",
            "opscheck run -p POLICY --only {{ failed }} --drill --state FILE  # once what it tells is mended",
        ),
    )

    drill: Identifier
    """The id of the `recovery.drill` that must have passed; it may stand in another policy of the same environment."""
    age: Graded[Duration]
    """How long ago the last drill that passed may be."""
    record: Annotated[str, Field(min_length=1)] | None = None
    """The JSON document that the drill writes, where there is no state file that keeps it."""

    def further(self, answer: Callable[[Query[Any]], Any]) -> Iterable[Query[Any]]:  # noqa: ARG002 - nothing decides it
        """What is known of drills: asked beside a drill of the same run, so that it is among them."""
        return [self.last]

    def described(self) -> Iterable[Query[Any]]:
        """What is known of drills."""
        return [self.last]

    @property
    def last(self) -> LastDrill:
        """What is known of drills."""
        return LastDrill(self._records.name, self.drill)

    @property
    def systems(self) -> tuple[Target, ...]:
        """What keeps drills."""
        state = DrillRecords(name=DRILLS)
        return (state,) if self.record is None else (self._records, state)

    @property
    def _records(self) -> DrillRecords:
        if self.record is None:
            return DrillRecords(name=DRILLS)
        return DrillRecords(name=f"drills://{self.id}", record=self.record)
