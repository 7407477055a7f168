"""What came back: the answer to a query, or the reason why there is none."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from opscheck.core.units import Duration, Graded

A = TypeVar("A")


NO_STATE_FILE = "no state file is kept; run with --state FILE, twice"
"""Why nothing earlier is known where the command names no file to keep it in."""


class ProblemKind(StrEnum):
    """Why there is no answer."""

    UNREACHABLE = "unreachable"
    """Nothing is there: refused, no such name, no route, a TLS handshake that failed, a closed connection."""
    LATE = "late"
    """No answer before the deadline."""
    DENIED = "denied"
    """It answered that this identity may not ask, or is not known."""
    UNSUPPORTED = "unsupported"
    """It cannot answer this: a version that is too old, a setting that stands in the way."""
    ABSENT = "absent"
    """It does not serve what was asked for: an API that is not installed there."""
    UNREADABLE = "unreadable"
    """It answered something else than an answer: HTML, half a JSON document, an error of its own."""
    UNSUPPLIED = "unsupplied"
    """The query was not sent: the snapshot does not hold it, or the run ended before."""
    FIRST_SAMPLE = "first_sample"
    """It was answered, but there is no earlier answer to compare with."""
    BROKEN = "broken"
    """opscheck itself failed; the text says where."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """
    Why a query has no answer, and what a person can do about it.

    `target_down` is true when it concerns the whole target and not this one query.
    """

    kind: ProblemKind
    text: str
    advice: str = ""
    target_down: bool = False
    waited_s: float | None = None


class ProbeError(Exception):
    """Raised by a probe instead of an answer."""

    def __init__(self, kind: ProblemKind, text: str, advice: str = "", *, target_down: bool = False) -> None:
        super().__init__(text)
        self.problem = Problem(kind=kind, text=text, advice=advice, target_down=target_down)


class Sample(msgspec.Struct, Generic[A], frozen=True, kw_only=True):
    """An answer of an earlier run."""

    taken_at: Annotated[datetime, msgspec.Meta(tz=True)]
    answer: A


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """The timestamped answer to one query, or the problem that stands in its place; never both."""

    taken_at: Annotated[datetime, msgspec.Meta(tz=True)]
    duration_s: float
    answer: Any = None
    problem: Problem | None = None
    earlier: tuple[Sample[Any], ...] = ()
    """What earlier runs were answered, oldest first; of queries that are remembered, where a state file is kept."""
    forgotten: str = ""
    """Why earlier answers could not be looked up; empty where they were, also when there are none."""


class CouldNotObserve(Exception):  # noqa: N818 - it is no error of the check that meets it
    """Raised by `observe` when a query has no answer; the plugin turns it into `unknown` (or `violated`)."""

    def __init__(self, query: Any, problem: Problem) -> None:
        super().__init__(problem.text)
        self.query = query
        self.problem = problem


def refutes_answering(problem: Problem, latency: Graded[Duration] | None) -> bool:
    """
    True when `problem` alone shows that the target does not answer in time.

    No connection shows it, and so does something that speaks another protocol. Silence does only once it has lasted
    longer than a latency limit; until then the state is unknown.
    """
    if problem.kind in {ProblemKind.UNREACHABLE, ProblemKind.UNREADABLE}:
        return True
    waited = problem.waited_s if problem.kind is ProblemKind.LATE else None
    return waited is not None and latency is not None and latency.severity(waited) is not None
