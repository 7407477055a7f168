"""One expectation as plain text, for pytest's FAILURES and for JUnit failures."""

from collections.abc import Iterator

from opscheck.core.record import Finding, Result, Verdict
from opscheck.reports.text import command_lines, lines_of, one_line, timestamp

_FINDINGS_SHOWN = 20


def failure_text(result: Result, most: int | None = _FINDINGS_SHOWN) -> str:
    """
    The findings of one expectation and their remedies, without colour; a few lines for each of `most` findings.

    Times are absolute: the text is read long after the run. Equal remedies are shown once, with the first finding.
    """
    shown = result.findings[:most]
    said: set[str] = set()
    severity = f"{result.severity} " if result.severity else ""
    lines = [one_line(f"{severity}{result.verdict}: {result.id}: {result.title}")]
    if not shown or result.verdict is Verdict.UNKNOWN:
        lines += ["", one_line(result.summary)]
    for finding in shown:
        advice = [line for line in _advice(finding) if line not in said]
        said.update(advice)
        lines += ["", *_finding(finding), *advice]
    if left := len(result.findings) - len(shown):
        lines += ["", f"and {left} more findings, in the run record"]
    return "\n".join([*lines, "", *_where(result)])


def finding_line(finding: Finding) -> str:
    """`shop: connections used 95.9% (93 of 97), expected at most 90%`."""
    return one_line(f"{finding.subject}: {finding.observed}, expected {finding.expected}")


def _finding(finding: Finding) -> Iterator[str]:
    since = f" (since {timestamp(finding.since)})" if finding.since else ""
    yield f"{finding.severity} {finding_line(finding)}{since}"
    for text in finding.evidence:
        yield from (f"  | {line}" for line in lines_of(text))


def _advice(finding: Finding) -> Iterator[str]:
    if finding.respond_by:
        yield f"  respond by {timestamp(finding.respond_by)}"
    if finding.escalate:
        calls = ", ".join(f"{one_line(call.notify)} at {timestamp(call.at)}" for call in finding.escalate)
        yield f"  call {calls}"
    if finding.remediation.summary:
        yield f"  {one_line(finding.remediation.summary)}"
    for command in finding.remediation.commands:
        yield "\n".join(f"    {line}" for line in command_lines(command))
    if finding.remediation.runbook:
        yield f"  {one_line(finding.remediation.runbook)}"


def _where(result: Result) -> list[str]:
    on = f" on {result.target}" if result.target else ""
    at = f", {result.source.file}:{result.source.line}" if result.source else ""
    return [one_line(f"{result.check}{on}{at}")]
