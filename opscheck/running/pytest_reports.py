"""Results as pytest reports: outcome, text, properties. All values are builtins, because xdist sends them."""

import os
from pathlib import Path

import msgspec
import pytest

from opscheck.core.record import Result, Verdict
from opscheck.core.redaction import Secrets
from opscheck.reports.longrepr import failure_text
from opscheck.reports.properties import PREFIX, properties
from opscheck.reports.text import for_job_log

RESULT_ATTRIBUTE = "opscheck_result"
_ALLURE_SEVERITIES = {"P0": "blocker", "P1": "critical", "P2": "normal", "P3": "minor"}


def present(report: pytest.TestReport, item: pytest.Item, result: Result, traceback: str) -> None:
    """
    Set outcome, text and properties of `report` from `result`.

    Below the gate a violation is pytest's "expected failure": reported, and not failing.
    """
    setattr(report, RESULT_ATTRIBUTE, msgspec.to_builtins(result))
    # A rerun (pytest-rerunfailures) judges the same item again.
    earlier = [pair for pair in item.user_properties if not pair[0].startswith(f"{PREFIX}.")]
    item.user_properties[:] = [*earlier, *properties(result)]
    report.user_properties = list(item.user_properties)
    if os.environ.get("GITHUB_ACTIONS") == "true" and result.source:
        # pytest-github-actions-annotate-failures puts its annotation there.
        report.location = result.source.file, result.source.line - 1, report.location[2]
    if result.verdict is Verdict.PASSED:
        report.outcome, report.longrepr = "passed", None
    elif result.verdict is Verdict.SKIPPED:
        report.outcome, report.longrepr = "skipped", _skipped(item, result)
    elif result.verdict is Verdict.WAIVED and result.waiver:
        _expected(report, result, f"waived until {result.waiver.expires}: {result.waiver.reason}")
    elif result.advisory:
        _expected(report, result, f"advisory {result.severity}: {result.summary}")
    else:
        report.outcome, report.longrepr = "failed", "\n\n".join(filter(None, (failure_text(result), traceback)))


def result_of(report: pytest.TestReport) -> Result | None:
    """The result in `report`; None when it judges no expectation."""
    carried = getattr(report, RESULT_ATTRIBUTE, None)
    return None if carried is None else msgspec.convert(carried, Result)


def clean(report: pytest.TestReport | pytest.CollectReport, secrets: Secrets) -> None:
    """Redact secrets in pytest's own output: tracebacks, local variables, captured output."""
    if report.longrepr is not None and not isinstance(report.longrepr, tuple):
        text = report.longreprtext
        if (cleaned := secrets.clean(text)) != text:
            report.longrepr = cleaned
    report.sections = [(name, secrets.clean(content)) for name, content in report.sections]


def make_harmless(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Let no job log read a command in what pytest itself prints of a report."""
    longrepr = report.longrepr
    if isinstance(longrepr, tuple):
        path, line, reason = longrepr
        report.longrepr = path, line, for_job_log(reason)
    elif longrepr is not None and (text := for_job_log(report.longreprtext)) != report.longreprtext:
        report.longrepr = text
    report.sections = [(for_job_log(name), for_job_log(content)) for name, content in report.sections]
    if isinstance(report, pytest.TestReport) and hasattr(report, "wasxfail"):
        report.wasxfail = for_job_log(report.wasxfail)


def add_allure_labels(item: pytest.Item, result: Result) -> None:
    """Give allure-pytest the severity, owner and tags as labels; it reads them from marks when the item ends."""
    labels = {"severity": _ALLURE_SEVERITIES.get(result.severity or ""), "owner": result.owner}
    for label_type, text in labels.items():
        if text:
            item.add_marker(pytest.mark.allure_label(text, label_type=label_type))


def _expected(report: pytest.TestReport, result: Result, reason: str) -> None:
    report.outcome, report.wasxfail = "skipped", reason
    report.longrepr = failure_text(result)


def _skipped(item: pytest.Item, result: Result) -> tuple[str, int, str]:
    path, line, _ = item.location
    return str(Path(path)), (line or 0) + 1, f"Skipped: {result.summary}"
