"""Why an expectation is not kept though nothing wrong was found: what it should judge could not be judged."""

from collections.abc import Mapping

from opscheck.core.observation import Problem, ProblemKind
from opscheck.core.words import some_with_reasons


def cannot_tell(text: str, advice: str) -> Problem:
    """What stands in the way, and what a person can do about it."""
    return Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice)


def not_up_to_date(stale: Mapping[str, str]) -> Problem | None:
    """Why nothing can be said of objects whose controller has not looked at them as they are now; None of none."""
    if not stale:
        return None
    return cannot_tell(
        f"no up-to-date status of {some_with_reasons(stale)}",
        "look again in a minute; if it stays so, see the log of kube-controller-manager",
    )
