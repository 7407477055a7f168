"""The terminal report: findings with severity, response deadline, escalation and commands; worst first."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import msgspec

from opscheck.core.record import Call, Finding, Result, Run, TargetNote, Verdict
from opscheck.reports.summary import SEVERITY_STYLES, closing, measured, severity_of, style_of, waiver_text
from opscheck.reports.text import Page, Style, cut, distance, moment, one_line, padded, width_of

_FINDINGS_SHOWN = 5
_EVIDENCE_SHOWN = 10
_VALUE_LINES = 5
# More passed results are counted by system.
_PASSED_SHOWN = 30


def summary(  # noqa: PLR0913 - the properties of the terminal, and what was requested
    run: Run, *, width: int, colour: bool, verbose: bool = False, quiet: bool = False, whole: bool = False
) -> str:
    """
    The result of a run as text of at most `width` columns; only commands and addresses may be wider.

    The worst finding comes first, and the result last. `colour` adds ANSI styles. `verbose` lists passed expectations
    with every finding and all evidence; `quiet` leaves only the summary and the result. `whole` cuts no line of
    evidence, as where no terminal reads. Times count from the run's own `observed_at`.
    """
    page = Page(width=width, colour=colour, now=run.observed_at or run.finished_at, whole=whole or verbose)
    blocks = [_block(result, blocked, run, page, verbose=verbose) for result, blocked in carried(run.results)]
    details = [
        *blocks,
        _notification_note(run, page),
        _passed(run, page, verbose=verbose),
        _notices(run.notices, page),
        _listed("targets", [(one.name, _target(one)) for one in run.targets if one.place], page),
    ]
    closest, *end = closing(run, page, verbose=verbose)
    sections = [_snapshot_note(run, page), *([] if quiet else [*details, closest]), *end]
    return "\n\n".join("\n".join(section) for section in sections if section) + "\n"


# -- which blocks there are, and in which order ------------------------------------------------------------------


def carried(results: Sequence[Result]) -> list[tuple[Result, list[Result]]]:
    """Violated and unknown results, worst first, each with the results that its outage blocks."""
    broken = [one for one in results if one.verdict in {Verdict.VIOLATED, Verdict.UNKNOWN}]
    # Only a result that is not blocked can report others, so no result is hidden below a hidden one.
    carriers = {one.id for one in broken if one.blocked_by is None}
    folded: dict[str | None, list[Result]] = {carrier: [] for carrier in carriers}
    # Findings made before the outage are reported only here.
    own = [one for one in broken if one.blocked_by not in carriers or one.findings]
    for one in broken:
        if not one.findings:
            folded.get(one.blocked_by, []).append(one)
    return sorted([(one, folded.get(one.id, [])) for one in own], key=_urgency)


def _urgency(block: tuple[Result, list[Result]]) -> tuple[str, bool]:
    # An outage has the worst severity of the results that it blocks.
    result, blocked = block
    worst = min(severity_of(one) for one in (result, *blocked))
    return worst, result.verdict is Verdict.UNKNOWN


# -- one expectation that is violated or unknown -----------------------------------------------------------------


def _block(result: Result, blocked: Sequence[Result], run: Run, page: Page, *, verbose: bool) -> list[str]:
    lines = _heading(result, run, page)
    if result.verdict is Verdict.UNKNOWN or not result.findings:
        lines += page.field("reason", result.summary, most=_VALUE_LINES)
        lines += _respond(result.respond_by, result.escalate, page)
        lines += page.address("runbook", None if result.findings else result.runbook)
    if result.findings:
        lines += _findings(result, page, verbose=verbose)
    lines += page.field("waiver", waiver_text(result.waiver))
    lines += page.field("blocks", ", ".join(_blocked_name(one, result) for one in blocked))
    return [*lines, *_origin(result, page)]


def _heading(result: Result, run: Run, page: Page) -> list[str]:
    mark = f"{severity_of(result)} {result.verdict.value.upper()}"
    name = page.prose(f"{result.id}: {result.title}", indent=len(mark) + 2)
    head = f"{page.ink(mark, style_of(result))}  {page.ink(name[0].lstrip(), Style.STRONG)}"
    lines = [head, *(page.ink(line, Style.STRONG) for line in name[1:])]
    if result.advisory:
        lines += page.field("advisory", f"below the gate ({run.gate.fail_on}): does not fail the run")
    return lines


def _findings(result: Result, page: Page, *, verbose: bool) -> list[str]:
    """Each finding with its own remedy; a remedy common to all of them is shown once, at the end."""
    worst = result.findings[0]
    shown = result.findings if verbose else result.findings[:_FINDINGS_SHOWN]
    common = _common_commands(shown)
    lines: list[str] = []
    for finding in shown:
        lines += ([""] if lines else []) + _finding(finding, result, page, verbose=verbose)
        if finding is worst or finding.remediation.summary != worst.remediation.summary:
            lines += page.field("fix", finding.remediation.summary)
        lines += page.commands([one for one in finding.remediation.commands if one not in common])
        if (finding.respond_by, finding.escalate) != (worst.respond_by, worst.escalate):
            lines += _respond(finding.respond_by, finding.escalate, page)
    lines += _left_out(result.findings[len(shown) :], page) + ([""] if len(shown) > 1 else [])
    lines += page.commands(common) + _respond(worst.respond_by, worst.escalate, page)
    return lines + page.address("runbook", worst.remediation.runbook)


def _left_out(findings: Sequence[Finding], page: Page) -> list[str]:
    if not findings:
        return []
    named = ", ".join(finding.subject for finding in findings)
    return ["", *page.field("and more", f"{len(findings)} (-v shows them): {named}", most=2)]


def _finding(finding: Finding, result: Result, page: Page, *, verbose: bool) -> list[str]:
    graded = f"{finding.severity} " if finding.severity != result.severity else ""
    text = f"{graded}{finding.subject}: {finding.observed} (expected {finding.expected})"
    style = SEVERITY_STYLES[finding.severity]
    lines = [page.ink(line, style) for line in page.prose(text, indent=2, most=_VALUE_LINES)]
    if finding.since:
        lines += page.field("since", f"{moment(finding.since, page.now)} ({distance(finding.since, page.now)})")
    return lines + page.quoted("evidence", finding.evidence, most=None if verbose else _EVIDENCE_SHOWN)


def _respond(by: datetime | None, escalate: Sequence[Call], page: Page) -> list[str]:
    """The response deadline, the current contact, and the next one."""
    called = [call.notify for call in escalate if call.at <= page.now]
    coming = [f"{call.notify} at {moment(call.at, page.now)}" for call in escalate if call.at > page.now]
    calls = ", ".join([*([f"{' and '.join(called)} now"] if called else []), *coming[:1]])
    due = f"by {moment(by, page.now)} ({distance(by, page.now)})" if by else ""
    return page.field("respond", "; ".join(part for part in (due, calls) if part))


def _notification_note(run: Run, page: Page) -> list[str]:
    """Once, where someone is to be called."""
    shown = [one for one in run.results if one.verdict in {Verdict.VIOLATED, Verdict.UNKNOWN}]
    called = any(one.escalate or any(finding.escalate for finding in one.findings) for one in shown)
    return page.prose("opscheck sends no notification; notify the people named at `respond`.") if called else []


def _origin(result: Result, page: Page) -> list[str]:
    on = f" on {result.target}" if result.target else ""
    owner = f" · owner {result.owner}" if result.owner else ""
    at = f" · {result.source.file}:{result.source.line}" if result.source else ""
    return [page.ink(f"  {one_line(f'{result.check}{on}{owner}{at}')}", Style.DIM)]


def _common_commands(findings: Sequence[Finding]) -> list[str]:
    first = findings[0].remediation.commands
    return [command for command in first if all(command in one.remediation.commands for one in findings[1:])]


def _blocked_name(result: Result, carrier: Result) -> str:
    return result.id if result.severity == carrier.severity else f"{result.id} ({result.severity})"


# -- lists -------------------------------------------------------------------------------------------------------


def _passed(run: Run, page: Page, *, verbose: bool) -> list[str]:
    """The passed results: with `verbose`, and when nothing failed; many of them by system."""
    passed = [one for one in run.results if one.verdict is Verdict.PASSED]
    failed = any(one.verdict in {Verdict.VIOLATED, Verdict.UNKNOWN} for one in run.results)
    if failed and not verbose:
        return []
    if len(passed) <= _PASSED_SHOWN or verbose:
        return _listed("passed", [(one.id, _first_measured(one)) for one in passed], page)
    systems = Counter(one.check.partition(".")[0] for one in passed)
    return _listed("passed", [(system, f"{count} passed") for system, count in sorted(systems.items())], page)


def _first_measured(result: Result) -> str:
    if not result.measurements:
        return result.title
    first, *others = result.measurements
    if first.subject and all(one.subject == first.subject for one in others):
        of_one = [measured(msgspec.structs.replace(one, subject="")) for one in others]
        return ", ".join([measured(first), *of_one])
    return measured(first) + (f" and {len(others)} more" if others else "")


def _target(target: TargetNote) -> str:
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
    # A live run observes after its start; only a snapshot is older than its run.
    if run.observed_at is None or run.observed_at >= run.started_at:
        return []
    age = distance(run.observed_at, run.started_at).replace(" ago", " before this run")
    return page.prose(
        f"Judged from a snapshot of {run.observed_at:%Y-%m-%d} {moment(run.observed_at, page.now)}, {age}."
    )
