"""Why an expectation is not kept though nothing wrong was found: what it should judge could not be judged."""

from opscheck.queries.observation import Problem, ProblemKind


def cannot_tell(text: str, advice: str) -> Problem:
    """What stands in the way, and what a person can do about it."""
    return Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice)
