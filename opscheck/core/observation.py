"""Observations: the answer to a query, or the problem that prevented it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from opscheck.core.units import Duration, Graded

A = TypeVar("A")


NO_STATE_FILE = "no state file; run twice with --state FILE"
"""Problem text of a run without a state file."""


class ProblemKind(StrEnum):
    """Reasons for a missing answer."""

    UNREACHABLE = "unreachable"
    """Connection refused or closed, name not found, no route, or failed TLS handshake."""
    LATE = "late"
    """No answer before the deadline."""
    DENIED = "denied"
    """Authentication failed, or the identity lacks a privilege."""
    UNSUPPORTED = "unsupported"
    """Not supported there: an older version, or a setting that disables it."""
    ABSENT = "absent"
    """The requested resource does not exist there, such as an API that is not installed."""
    UNREADABLE = "unreadable"
    """An invalid answer: HTML, a truncated JSON document, an internal error."""
    UNSUPPLIED = "unsupplied"
    """The query was not sent: the snapshot does not contain it, or the run ended first."""
    FIRST_SAMPLE = "first_sample"
    """The query was answered, but without an earlier answer to compare with."""
    BROKEN = "broken"
    """opscheck itself failed; the text says where."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """
    The reason for a missing answer, and advice for a person.

    `target_down` is true when the whole target is affected, and not only this query.
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
    """The timestamped answer to one query, or its problem; never both."""

    taken_at: Annotated[datetime, msgspec.Meta(tz=True)]
    duration_s: float
    answer: Any = None
    problem: Problem | None = None
    earlier: tuple[Sample[Any], ...] = ()
    """The answers of earlier runs, oldest first; only for remembered queries and with a state file."""
    forgotten: str = ""
    """Reason why earlier answers could not be read; empty when they could, even if none exist."""


class CouldNotObserve(Exception):  # noqa: N818 - not an error of the check that receives it
    """Raised by `observe` when a query has no answer; the plugin turns it into `unknown` (or `violated`)."""

    def __init__(self, query: Any, problem: Problem) -> None:
        super().__init__(problem.text)
        self.query = query
        self.problem = problem


def refutes_answering(problem: Problem, latency: Graded[Duration] | None) -> bool:
    """
    True when `problem` alone proves that the target does not answer in time.

    A failed connection proves it, and so does another protocol. A timeout does only when it is longer than a latency
    limit; until then the state is unknown.
    """
    if problem.kind in {ProblemKind.UNREACHABLE, ProblemKind.UNREADABLE}:
        return True
    waited = problem.waited_s if problem.kind is ProblemKind.LATE else None
    return waited is not None and latency is not None and latency.severity(waited) is not None
