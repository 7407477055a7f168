"""The logs of a cluster's pods."""

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve
from opscheck.core.units import format_duration
from opscheck.core.words import counted
from opscheck.systems.kubernetes.logs import LogLines
from opscheck.systems.kubernetes.readings.logs import (
    cut_logs,
    evidence,
    facts,
    first_match,
    matching_lines,
    read_logs,
    together,
    unjudged,
)


def test_few_lines_match(expectation: LogLines, observe: Observe, findings: Findings) -> None:
    """
    Few lines of the selected pods' logs match the pattern.

    An application tells its own troubles first, long before somebody complains; a message that comes by the
    hundred is one cause, and the most frequent one names it.
    """
    queries = expectation.logs()
    logs = together(observe(query) for query in queries)
    if logs.pods_selected:
        findings.grade(
            "matching lines",
            matching_lines(logs),
            expectation.lines,
            subject=expectation.selected,
            detail=f"in {format_duration(expectation.window)}, {counted(logs.pods_selected, 'pod')}",
            since=first_match(logs),
            evidence=evidence(expectation, logs),
            facts=facts(expectation, logs),
        )
        findings.measure("lines read", sum(log.lines for log in read_logs(logs)))
    if cut := cut_logs(logs):
        findings.measure("logs read in part", len(cut))
    if (problem := unjudged(expectation, logs)) is not None:
        raise CouldNotObserve(queries[0], problem)
