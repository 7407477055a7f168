"""When a missing answer proves that something does not answer as it should."""

from opscheck.core.observation import Problem, ProblemKind
from opscheck.core.units import Duration, Graded


def refutes_answering(problem: Problem, latency: Graded[Duration] | None) -> bool:
    """
    True when `problem` alone shows that the target does not answer in time.

    No connection shows it, and so does something that speaks another protocol. Silence does only once it has lasted
    longer than a latency limit; until then nobody knows.
    """
    if problem.kind in {ProblemKind.UNREACHABLE, ProblemKind.UNREADABLE}:
        return True
    waited = problem.waited_s if problem.kind is ProblemKind.LATE else None
    return waited is not None and latency is not None and latency.severity(waited) is not None
