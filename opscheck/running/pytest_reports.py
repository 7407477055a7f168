"""Results as pytest reports: outcome, text, properties. All values are builtins, because xdist sends them."""

from pathlib import Path

import msgspec
import pytest

from opscheck.core.record import Result, Verdict
from opscheck.core.redaction import Secrets
from opscheck.reports.longrepr import failure_text
from opscheck.reports.properties import properties

RESULT_ATTRIBUTE = "opscheck_result"


def present(report: pytest.TestReport, item: pytest.Item, result: Result, traceback: str) -> None:
    """
    Set outcome, text and properties of `report` from `result`.

    Below the gate a violation is pytest's "expected failure": reported, and not failing.
    """
    setattr(report, RESULT_ATTRIBUTE, msgspec.to_builtins(result))
    item.user_properties.extend(properties(result))
    report.user_properties = list(item.user_properties)
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


def _expected(report: pytest.TestReport, result: Result, reason: str) -> None:
    report.outcome, report.wasxfail = "skipped", reason
    report.longrepr = failure_text(result)


def _skipped(item: pytest.Item, result: Result) -> tuple[str, int, str]:
    path, line, _ = item.location
    return str(Path(path)), (line or 0) + 1, f"Skipped: {result.summary}"
