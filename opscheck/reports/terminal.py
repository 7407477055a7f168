"""The terminal summary: what is broken, how bad, since when, who must act by when, and what to type; worst first."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from opscheck.core.record import Call, Finding, Result, Run, TargetNote, Verdict, WaiverNote
from opscheck.core.units import Severity
from opscheck.reports.summary import closing, measured
from opscheck.reports.text import Page, Style, cut, distance, moment, one_line, padded, width_of

_FINDINGS_SHOWN = 5
_EVIDENCE_SHOWN = 10
_VALUE_LINES = 5
_SEVERITY_STYLES = {
    Severity.P0: Style.WORST,
    Severity.P1: Style.BAD,
    Severity.P2: Style.WARN,
    Severity.P3: Style.NOTE,
}


def summary(run: Run, *, width: int, colour: bool, verbose: bool = False) -> str:
    """
    What a run found, as text of at most `width` columns; only commands and addresses may be wider, to be copied whole.

    `colour` adds ANSI styles. `verbose` lists what passed, and every finding and line of evidence. Times count from
    the run's own `observed_at`.
    """
    page = Page(width=width, colour=colour, now=run.observed_at or run.finished_at)
    sections = [
        _snapshot_note(run, page),
        *(_block(result, blocked, run, page, verbose=verbose) for result, blocked in _carried(run.results)),
        _listed("passed", [(one.id, _first_measured(one)) for one in _with(run, Verdict.PASSED) if verbose], page),
        _listed("waived", [(_name(one), _waiver(one.waiver)) for one in _with(run, Verdict.WAIVED)], page),
        _listed("skipped", [(_name(one), one.summary) for one in _with(run, Verdict.SKIPPED)], page),
        _notices(run.notices, page),
        _listed("asked", [(one.name, _asked(one)) for one in run.targets if one.place], page),
        closing(run, page),
    ]
    return "\n\n".join("\n".join(section) for section in sections if section) + "\n"


# -- which blocks there are, and in which order ------------------------------------------------------------------


def _carried(results: Sequence[Result]) -> list[tuple[Result, list[Result]]]:
    """What is violated or unknown, worst first, each with the results that only suffer from its outage."""
    broken = [one for one in results if one.verdict in {Verdict.VIOLATED, Verdict.UNKNOWN}]
    # Only what nothing blocks can carry others; so no result is folded away under one that is itself folded away.
    carriers = {one.id for one in broken if one.blocked_by is None}
    folded: dict[str | None, list[Result]] = {carrier: [] for carrier in carriers}
    # What was found before the outage blocked the rest is told by nobody else.
    own = [one for one in broken if one.blocked_by not in carriers or one.findings]
    for one in broken:
        if not one.findings:
            folded.get(one.blocked_by, []).append(one)
    return sorted([(one, folded.get(one.id, [])) for one in own], key=_urgency)


def _urgency(block: tuple[Result, list[Result]]) -> tuple[str, bool]:
    # An outage is as urgent as the worst of what it hides.
    result, blocked = block
    worst = min(_severity(one) for one in (result, *blocked))
    return worst, result.verdict is Verdict.UNKNOWN


def _severity(result: Result) -> Severity:
    return result.severity or Severity.P3


def _with(run: Run, verdict: Verdict) -> list[Result]:
    return [one for one in run.results if one.verdict is verdict]


# -- one expectation that is violated or unknown -----------------------------------------------------------------


def _block(result: Result, blocked: Sequence[Result], run: Run, page: Page, *, verbose: bool) -> list[str]:
    lines = _heading(result, run, page)
    if result.verdict is Verdict.UNKNOWN or not result.findings:
        lines += page.field("reason", result.summary, most=_VALUE_LINES)
        lines += _respond(result.respond_by, page) + _call(result.escalate, page)
        lines += page.address("runbook", None if result.findings else result.runbook)
    if result.findings:
        lines += _findings(result, page, verbose=verbose)
    lines += page.field("waiver", _waiver(result.waiver))
    grades = {one.id: f" ({one.severity})" if one.severity != result.severity else "" for one in blocked}
    lines += page.field("blocks", ", ".join(f"{name}{grade}" for name, grade in grades.items()))
    return [*lines, *_origin(result, page)]


def _heading(result: Result, run: Run, page: Page) -> list[str]:
    severity, word = _severity(result), result.verdict.value.upper()
    style = Style.UNKNOWN if result.verdict is Verdict.UNKNOWN else _SEVERITY_STYLES[severity]
    mark = f"{severity}  {word}"
    name = page.prose(f"{result.id}: {result.title}", indent=len(mark) + 2)
    head = f"{page.ink(mark, style)}  {page.ink(name[0].lstrip(), Style.STRONG)}"
    lines = [head, *(page.ink(line, Style.STRONG) for line in name[1:])]
    if result.advisory:
        lines += page.field("advisory", f"below the gate ({run.gate.fail_on}), does not close it")
    return lines


def _findings(result: Result, page: Page, *, verbose: bool) -> list[str]:
    """Each finding with what is its own; what the worst one says for all of them stands once, behind them."""
    worst = result.findings[0]
    shown = result.findings if verbose else result.findings[:_FINDINGS_SHOWN]
    common = [one for one in worst.remediation.commands if all(one in each.remediation.commands for each in shown)]
    lines: list[str] = []
    for finding in shown:
        lines += ([""] if lines else []) + _finding(finding, result, page, verbose=verbose)
        lines += _guidance(finding, worst, page) if finding is not worst else []
        lines += page.commands([one for one in finding.remediation.commands if one not in common])
    lines += _left_out(result.findings[len(shown) :], page) + ([""] if len(shown) > 1 else [])
    lines += _guidance(worst, None, page) + page.commands(common)
    return lines + page.address("runbook", worst.remediation.runbook)


def _left_out(findings: Sequence[Finding], page: Page) -> list[str]:
    if not findings:
        return []
    named = ", ".join(finding.subject for finding in findings)
    return ["", *page.field("and more", f"{len(findings)} (-v shows them): {named}", most=2)]


def _finding(finding: Finding, result: Result, page: Page, *, verbose: bool) -> list[str]:
    graded = f" ({finding.severity})" if finding.severity != result.severity else ""
    lines = page.field("subject", finding.subject + graded, most=2)
    lines += page.field("observed", finding.observed, most=_VALUE_LINES, style=_SEVERITY_STYLES[finding.severity])
    lines += page.field("expected", finding.expected, most=_VALUE_LINES)
    if finding.since:
        lines += page.field("since", f"{moment(finding.since, page.now)}, {distance(finding.since, page.now)}")
    return lines + page.quoted("evidence", finding.evidence, most=None if verbose else _EVIDENCE_SHOWN)


def _guidance(finding: Finding, worst: Finding | None, page: Page) -> list[str]:
    """By when to answer, who is called and what to do, as far as the worst finding does not say the same."""
    lines: list[str] = []
    if worst is None or finding.respond_by != worst.respond_by:
        lines += _respond(finding.respond_by, page)
    if worst is None or finding.escalate != worst.escalate:
        lines += _call(finding.escalate, page)
    if worst is None or finding.remediation.summary != worst.remediation.summary:
        lines += page.field("do", finding.remediation.summary)
    return lines


def _respond(by: datetime | None, page: Page) -> list[str]:
    """By when somebody must answer."""
    if by is None:
        return []
    return page.field("respond", f"by {moment(by, page.now)}, {distance(by, page.now)}", style=Style.STRONG)


def _call(escalate: Sequence[Call], page: Page) -> list[str]:
    """Who is called now, and who is next."""
    called = [call.notify for call in escalate if call.at <= page.now]
    coming = [call for call in escalate if call.at > page.now]
    said = [f"{' and '.join(called)} now"] if called else []
    said += [f"{one.notify} at {moment(one.at, page.now)} ({distance(one.at, page.now)})" for one in coming[:1]]
    return page.field("call", ", then ".join(said))


def _origin(result: Result, page: Page) -> list[str]:
    on = f" on {result.target}" if result.target else ""
    owner = f", owner {result.owner}" if result.owner else ""
    lines = page.field("check", f"{result.check}{on}{owner}", style=Style.DIM)
    if result.source:
        lines += page.address("policy", f"{result.source.file}:{result.source.line}", style=Style.DIM)
    return lines


# -- lists -------------------------------------------------------------------------------------------------------


def _first_measured(result: Result) -> str:
    if not result.measurements:
        return result.title
    first, *others = result.measurements
    if first.subject and all(one.subject == first.subject for one in others):
        of_one = [measured(msgspec.structs.replace(one, subject="")) for one in others]
        return ", ".join([measured(first), *of_one])
    return measured(first) + (f" and {len(others)} more" if others else "")


def _name(result: Result) -> str:
    return f"{result.severity} {result.id}" if result.severity else result.id


def _waiver(waiver: WaiverNote | None) -> str:
    if waiver is None:
        return ""
    until = f"expired {waiver.expires}, counts no more" if waiver.expired else f"until {waiver.expires}"
    return f"{until} ({waiver.owner}): {waiver.reason}"


def _asked(target: TargetNote) -> str:
    user = f" as {target.user}" if target.user else ""
    way = f", with {target.authenticated_by}" if target.authenticated_by else ""
    return f"{target.place}{user}{way}"


def _listed(title: str, rows: Sequence[tuple[str, str]], page: Page) -> list[str]:
    """A title and one line per row, aligned."""
    if not rows:
        return []
    names = [cut(one_line(name), page.width // 2) for name, _ in rows]
    column = max(map(width_of, names))
    lines = [page.ink(title.upper(), Style.STRONG)]
    for name, (_, text) in zip(names, rows, strict=True):
        head, *rest = page.prose(text, indent=column + 4)
        lines += [f"  {padded(name, column)}  {head.lstrip()}".rstrip(), *rest]
    return lines


def _notices(notices: Sequence[str], page: Page) -> list[str]:
    if not notices:
        return []
    lines = [page.ink("NOTICES", Style.STRONG)]
    return lines + [line for notice in notices for line in page.prose(notice, indent=2)]


def _snapshot_note(run: Run, page: Page) -> list[str]:
    # A live run observes after it starts; only a snapshot is older than the run that judges it.
    if run.observed_at is None or run.observed_at >= run.started_at:
        return []
    age = distance(run.observed_at, run.started_at).replace(" ago", " before this run")
    return page.prose(
        f"Judged from a snapshot of {run.observed_at:%Y-%m-%d} {moment(run.observed_at, page.now)}, {age}."
    )
