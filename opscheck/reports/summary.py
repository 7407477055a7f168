"""The end of the terminal output: a line per expectation that did not pass, the counts, and the result."""

from collections.abc import Iterable, Sequence
from itertools import groupby

import msgspec

from opscheck.core.exit_codes import ExitCode
from opscheck.core.record import Counts, Measurement, Result, Run, Verdict, WaiverNote
from opscheck.core.units import Severity, format_duration, format_value
from opscheck.core.verdicts import Gate
from opscheck.reports.text import Page, Style, cut, cuts_word, moment, one_line, padded, width_of

# With a row for each other severity and verdict, the counts and the result, they fit on 24 lines.
_ROWS_SHOWN, _ROWS_SHOWN_OF_MANY = 14, 10
_IDS_SHOWN = 6
_NARROWEST_TEXT = 8
_NEAR = 0.2  # of the limit: a passed value with less room is shown
_WORDS: dict[int, str] = {
    ExitCode.OPEN: "PASSED",
    ExitCode.CLOSED: "FAILED",
    ExitCode.INTERRUPTED: "INTERRUPTED",
    ExitCode.INTERNAL_ERROR: "ERROR",
    ExitCode.UNKNOWN: "UNKNOWN",
    ExitCode.UNTRUSTED: "UNTRUSTED",
}
SEVERITY_STYLES = {
    Severity.P0: Style.WORST,
    Severity.P1: Style.BAD,
    Severity.P2: Style.WARN,
    Severity.P3: Style.NOTE,
}
_ORDER = (Verdict.VIOLATED, Verdict.UNKNOWN, Verdict.WAIVED, Verdict.SKIPPED)


def closing(run: Run, page: Page, *, verbose: bool) -> list[list[str]]:
    """Three sections: what is closest to a limit, the expectations that did not pass with the counts, the result."""
    return [_closest(run.results, page), _table(run, page, verbose=verbose), _result(run, page)]


def severity_of(result: Result) -> Severity:
    """The severity of a result, P3 where it has none."""
    return result.severity or Severity.P3


def style_of(result: Result) -> Style:
    """The style of a result's severity and verdict."""
    if result.verdict is Verdict.VIOLATED:
        return SEVERITY_STYLES[severity_of(result)]
    return Style.UNKNOWN if result.verdict is Verdict.UNKNOWN else Style.DIM


def measured(measurement: Measurement) -> str:
    """A measurement as `memory 81.5% on node-2 (<= 85%)`."""
    on = f" on {measurement.subject}" if measurement.subject else ""
    value = f"{measurement.name} {format_value(measurement.value, measurement.unit)}{on}"
    if measurement.limit is None:
        return value
    return f"{value} ({_comparator(measurement)} {format_value(measurement.limit, measurement.unit)})"


def waiver_text(waiver: WaiverNote | None) -> str:
    """Expiry, owner and reason of a waiver; empty without one."""
    if waiver is None:
        return ""
    until = f"expired {waiver.expires}, no longer applies" if waiver.expired else f"until {waiver.expires}"
    return f"{until} ({waiver.owner}): {waiver.reason}"


def _comparator(measurement: Measurement) -> str:
    room = None if measurement.margin is None or measurement.limit is None else measurement.value - measurement.limit
    # At the limit itself, maximum and minimum look the same.
    if not room or measurement.margin is None:
        return "limit"
    return ">=" if measurement.margin * room > 0 else "<="


def _table(run: Run, page: Page, *, verbose: bool) -> list[str]:
    others = sorted((one for one in run.results if one.verdict is not Verdict.PASSED), key=_urgency)
    shown = others if verbose or len(others) <= _ROWS_SHOWN else others[:_ROWS_SHOWN_OF_MANY]
    rows = [*((one, one.id, _text(one)) for one in shown), *_grouped(others[len(shown) :])]
    column = min(max((width_of(name) for _, name, _ in rows), default=0), page.width // 3)
    lines = [line for one, name, text in rows for line in _row(one, one_line(name), one_line(text), column, page)]
    if not lines:
        return []
    passed = [f"  {run.counts.passed} passed"] if run.counts.passed else []
    return [page.ink("SUMMARY", Style.STRONG), *lines, *passed]


def _urgency(result: Result) -> tuple[bool, str, int, bool]:
    """Violated and unknown results by severity, before waived and skipped ones."""
    order = _ORDER.index(result.verdict)
    return result.verdict in {Verdict.WAIVED, Verdict.SKIPPED}, severity_of(result), order, bool(result.blocked_by)


def _grouped(results: Iterable[Result]) -> Iterable[tuple[Result, str, str]]:
    """A row per severity and verdict, with the ids."""
    for _, group in groupby(results, key=lambda one: (severity_of(one), one.verdict)):
        same = list(group)
        yield same[0], f"{len(same)} more", ", ".join(one.id for one in same)


def _row(result: Result, name: str, text: str, column: int, page: Page) -> list[str]:
    """One line; two where the terminal is so narrow that a word would be cut."""
    mark = f"{result.severity or '  '} {result.verdict.value.upper():<8}"
    name = cut(name, page.width - width_of(mark) - 4)
    head = f"  {page.ink(mark, style_of(result))}  {padded(name, column)}"
    room = max(page.width - width_of(mark) - max(column, width_of(name)) - 6, _NARROWEST_TEXT)
    shown = text if page.whole else cut(text, room)
    if not page.whole and cuts_word(text, shown):
        return [head.rstrip(), f"    {cut(text, page.width - 4)}"]
    return [f"{head}  {shown}".rstrip()]


def _text(result: Result) -> str:
    if result.verdict is Verdict.WAIVED:
        return waiver_text(result.waiver)
    if result.blocked_by:
        found = f"; {len(result.findings)} found" if result.findings else ""
        return f"{'consequence of' if result.verdict is Verdict.VIOLATED else 'blocked by'} {result.blocked_by}{found}"
    return result.summary + (" (below the gate)" if result.advisory else "")


def _result(run: Run, page: Page) -> list[str]:
    code = run.gate.exit_code
    word = _WORDS.get(code, "FAILED")
    why = _at_gate(run) if code == ExitCode.CLOSED else reason(run)
    parts = [why, f"{_counted(run.counts)} in {format_duration(run.duration_s)}", _due(run, page)]
    text = f"RESULT: {word} (exit {code}): {'; '.join(part for part in parts if part)}"
    style = {"PASSED": Style.GOOD, "UNKNOWN": Style.UNKNOWN}.get(word, Style.WORST)
    return [page.ink(line, style) for line in page.prose(text)]


def _counted(counts: Counts) -> str:
    words = ("violated", "unknown", "waived", "skipped", "passed")
    parts = [f"{getattr(counts, word)} {word}" for word in words if getattr(counts, word)]
    return ", ".join(parts) or "0 expectations"


def _due(run: Run, page: Page) -> str:
    """The first response deadline of results that fail the run; waived and advisory results do not."""
    failing = [one for one in run.results if one.verdict in {Verdict.VIOLATED, Verdict.UNKNOWN} and not one.advisory]
    deadlines = [by for one in failing for by in (one.respond_by, *(each.respond_by for each in one.findings))]
    due = min((by for by in deadlines if by), default=None)
    return f"first response due {moment(due, page.now)}" if due else ""


def reason(run: Run) -> str:
    """The reason of the result; empty when all passed."""
    reasons = {
        ExitCode.OPEN: _open_reason(run),
        ExitCode.CLOSED: f"violated: {_ids(_proven(run))}" if _proven(run) else _at_gate(run),
        ExitCode.INTERRUPTED: "the run was interrupted",
        ExitCode.INTERNAL_ERROR: "opscheck itself failed",
        ExitCode.UNKNOWN: f"could not be evaluated: {_ids(_unknown_at_gate(run))}",
        ExitCode.UNTRUSTED: _untrusted_reason(run.counts),
    }
    code = run.gate.exit_code
    return reasons.get(ExitCode(code), "") if code in set(ExitCode) else f"pytest ended with {code}"


def _open_reason(run: Run) -> str:
    if run.gate.fail_on == "never":
        return "--fail-on never"
    below = sum(one.advisory for one in run.results)
    return f"{below} below the gate ({run.gate.fail_on})" if below else ""


def _at_gate(run: Run) -> str:
    """The number of violations at a gate that not every violation reaches."""
    proven = len(_proven(run))
    if not proven:
        return "a test that judges no expectation failed"
    at = run.gate.fail_on if run.gate.fail_on == Severity.P0 else f"{run.gate.fail_on} or worse"
    return "" if run.gate.fail_on == Severity.P3 else f"{proven} violated at {at}"


def _proven(run: Run) -> list[Result]:
    """The results that fail the run, each at its severity."""
    gate = Gate.parse(run.gate.fail_on)
    found = [
        msgspec.structs.replace(one, severity=one.findings[0].severity) if one.findings else one
        for one in run.results
        if gate.proven(one)
    ]
    return sorted(found, key=severity_of)


def _untrusted_reason(counts: Counts) -> str:
    if counts.declared == counts.skipped:
        return "nothing was checked" + (", all was skipped" if counts.skipped else "")
    return f"{counts.declared - counts.reported} of {counts.declared} expectations have no verdict"


def _unknown_at_gate(run: Run) -> list[Result]:
    chosen = [one for one in run.results if one.verdict is Verdict.UNKNOWN and not one.advisory]
    return sorted(chosen, key=lambda one: (severity_of(one), bool(one.blocked_by)))


def _ids(results: Sequence[Result]) -> str:
    named = ", ".join(f"{one.id} ({one.severity})" for one in results[:_IDS_SHOWN])
    more = len(results) - _IDS_SHOWN
    return f"{named} and {more} more" if more > 0 else named


def _closest(results: Sequence[Result], page: Page) -> list[str]:
    """The passed value closest to its limit, if close; minimum counts are left out."""
    near = [
        (one.margin / abs(one.limit), result.id, one)
        for result in results
        if result.verdict is Verdict.PASSED
        for one in result.measurements
        if one.limit and one.margin is not None and one.margin <= _NEAR * abs(one.limit)
        if one.unit in {"s", "%", "B"} or _comparator(one) == "<="
    ]
    if not near:
        return []
    _, name, measurement = min(near, key=lambda row: row[0])
    return page.prose(f"closest to a limit: {name}: {measured(measurement)}")
