"""The last lines of the terminal summary: how many, how long, and whether the gate is open."""

from collections.abc import Sequence

import msgspec

from opscheck.core.exit_codes import ExitCode
from opscheck.core.record import Counts, Measurement, Result, Run, Verdict
from opscheck.core.units import Severity, format_duration, format_value
from opscheck.core.verdicts import Gate
from opscheck.reports.text import Page, Style

_IDS_SHOWN = 6
_NEAR = 0.2  # of the limit: what is left when a value is worth a look though it passes


def closing(run: Run, page: Page) -> list[str]:
    """What is nearest to its limit, the counts, and the gate with its reason and exit code."""
    style = Style.GOOD if run.gate.open else Style.WORST
    state = "open" if run.gate.open else "closed"
    gate = page.prose(f"gate {state}, exit {run.gate.exit_code}: {reason(run)}")
    return [
        *_nearest(run.results, page),
        *page.prose(f"{_counted(run.counts)}, in {format_duration(run.duration_s)}"),
        *(page.ink(line, style) for line in gate),
    ]


def measured(measurement: Measurement) -> str:
    """A measurement as `memory 81.5% on node-2 (limit 85%)`."""
    on = f" on {measurement.subject}" if measurement.subject else ""
    value = f"{measurement.name} {format_value(measurement.value, measurement.unit)}{on}"
    if measurement.limit is None:
        return value
    return f"{value} (limit {format_value(measurement.limit, measurement.unit)})"


def _counted(counts: Counts) -> str:
    words = ("violated", "unknown", "waived", "skipped", "passed")
    parts = [f"{getattr(counts, word)} {word}" for word in words if getattr(counts, word)]
    checked = f"{counts.declared} expectation{'' if counts.declared == 1 else 's'}"
    if counts.declared != counts.reported:
        checked += f", only {counts.reported} reported"
    return f"{checked}: {', '.join(parts)}" if parts else checked


def reason(run: Run) -> str:
    """Why the gate is open or closed."""
    reasons = {
        ExitCode.OPEN: _open_reason(run),
        ExitCode.CLOSED: _closed_reason(run),
        ExitCode.INTERRUPTED: "the run was interrupted",
        ExitCode.INTERNAL_ERROR: "opscheck itself failed",
        ExitCode.UNKNOWN: f"could not be observed: {_ids(_at_gate(run, Verdict.UNKNOWN))}",
        ExitCode.UNTRUSTED: _untrusted_reason(run.counts),
    }
    code = run.gate.exit_code
    return reasons.get(ExitCode(code), "") if code in set(ExitCode) else f"pytest ended with {code}"


def _open_reason(run: Run) -> str:
    if run.gate.fail_on == "never":
        return "nothing closes it (fails on: never)"
    below = sum(one.advisory for one in run.results)
    return f"nothing{_at(run)} is violated or unknown" + (f"; {below} below the gate" if below else "")


def _closed_reason(run: Run) -> str:
    violated = _proven(run)
    if not violated:
        return "a test that judges no expectation failed"
    unknown = len(_at_gate(run, Verdict.UNKNOWN))
    return f"violated{_at(run)}: {_ids(violated)}" + (f"; {unknown} could not be observed" if unknown else "")


def _untrusted_reason(counts: Counts) -> str:
    if counts.declared == counts.skipped:
        return "nothing was checked" + (", all was skipped" if counts.skipped else "")
    return f"{counts.declared - counts.reported} of {counts.declared} expectations have no verdict"


def _at(run: Run) -> str:
    """The severities that close the gate, in words; empty where all of them do."""
    words: dict[str, str] = {Severity.P3: "", Severity.P0: " at P0"}
    return words.get(run.gate.fail_on, f" at {run.gate.fail_on} or worse")


def _at_gate(run: Run, verdict: Verdict) -> list[Result]:
    chosen = [one for one in run.results if one.verdict is verdict and not one.advisory]
    return sorted(chosen, key=lambda one: (one.severity or Severity.P3, bool(one.blocked_by)))


def _proven(run: Run) -> list[Result]:
    """What closes the gate, each at the severity that was found; more of it may be unknown."""
    gate = Gate.parse(run.gate.fail_on)
    found = [
        msgspec.structs.replace(one, severity=one.findings[0].severity) if one.findings else one
        for one in run.results
        if gate.proven(one)
    ]
    return sorted(found, key=lambda one: one.severity or Severity.P3)


def _ids(results: Sequence[Result]) -> str:
    named = ", ".join(f"{one.id} ({one.severity})" for one in results[:_IDS_SHOWN])
    more = len(results) - _IDS_SHOWN
    return f"{named} and {more} more" if more > 0 else named


def _nearest(results: Sequence[Result], page: Page) -> list[str]:
    """The one value that passes with the least room, where there is little."""
    near = [
        (one.margin / abs(one.limit), result.id, one)
        for result in results
        if result.verdict is Verdict.PASSED
        for one in result.measurements
        if one.limit and one.margin is not None and one.margin <= _NEAR * abs(one.limit)
    ]
    if not near:
        return []
    _, name, measurement = min(near, key=lambda row: row[0])
    return page.prose(f"nearest to its limit: {name}, {measured(measurement)}")
