"""A result as names and texts: the properties of its JUnit test case."""

from collections.abc import Iterable, Iterator

from opscheck.core.escaping import visible
from opscheck.core.record import Finding, Measurement, Result
from opscheck.reports.text import timestamp

PREFIX = "opscheck"


def properties(result: Result) -> list[tuple[str, str]]:
    """`result` as names and texts; plain builtins, so that they can be sent to another process."""
    own = {
        "id": result.id,
        "check": result.check,
        "title": result.title,
        "verdict": result.verdict.value,
        "severity": result.severity.value if result.severity else None,
        "advisory": "true" if result.advisory else "false",
        "target": result.target,
        "tags": ",".join(result.tags),
        "owner": result.owner,
        "summary": result.summary,
        "blocked_by": result.blocked_by,
        "respond_by": min((timestamp(one.respond_by) for one in result.findings if one.respond_by), default=None),
        "runbook": next((one.remediation.runbook for one in result.findings if one.remediation.runbook), None),
        "policy": f"{result.source.file}:{result.source.line}" if result.source else None,
        "observed_at": timestamp(result.observed_at) if result.observed_at else None,
        "waiver.reason": result.waiver.reason if result.waiver else None,
        "waiver.owner": result.waiver.owner if result.waiver else None,
        "waiver.expires": result.waiver.expires if result.waiver else None,
    }
    pairs = [*own.items(), *_measurements(result.measurements), *_findings(result.findings)]
    return [(f"{PREFIX}.{xml_text(name)}", xml_text(text)) for name, text in pairs if text]


def xml_text(text: str) -> str:
    """`text` with characters that XML does not allow or that are invisible escaped; lines and tabs stay."""
    return "\n".join("\t".join(visible(part) for part in line.split("\t")) for line in text.split("\n"))


def _measurements(measurements: Iterable[Measurement]) -> Iterator[tuple[str, str]]:
    for one in measurements:
        name = f"measurement.{one.name}" + (f".{one.subject}" if one.subject else "")
        limit = "" if one.limit is None else f", limit {one.limit:.6g}"
        margin = "" if one.margin is None else f", margin {one.margin:.6g}"
        yield name, f"{one.value:.6g} {one.unit}".rstrip() + limit + margin


def _findings(findings: Iterable[Finding]) -> Iterator[tuple[str, str | None]]:
    for number, one in enumerate(findings, start=1):
        prefix = f"finding.{number}"
        yield f"{prefix}.subject", one.subject
        yield f"{prefix}.severity", one.severity.value
        yield f"{prefix}.observed", one.observed
        yield f"{prefix}.expected", one.expected
        yield f"{prefix}.since", timestamp(one.since) if one.since else None
        yield f"{prefix}.respond_by", timestamp(one.respond_by) if one.respond_by else None
        yield f"{prefix}.escalate", ", ".join(f"{timestamp(call.at)} {call.notify}" for call in one.escalate)
        yield f"{prefix}.do", one.remediation.summary
        for place, command in enumerate(one.remediation.commands, start=1):
            yield f"{prefix}.command.{place}", command
