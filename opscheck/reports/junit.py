"""
JUnit XML of whole run records.

JUnit XML has no single schema. This is the form that readers accept: Jenkins' junit plugin shows the `message` and the
text of an element, GitLab only its text, and both distinguish cases by `classname` and `name`.
"""

import xml.etree.ElementTree as ET  # only written; nothing is parsed
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from junit_xml import TestCase, TestSuite, to_xml_report_string

from opscheck.core.record import Result, Run, Verdict
from opscheck.reports.longrepr import failure_text, finding_line
from opscheck.reports.properties import PREFIX, properties, xml_text
from opscheck.reports.read import ReportError
from opscheck.reports.summary import reason
from opscheck.reports.text import timestamp


def document(runs: Sequence[Run]) -> str:
    """
    `runs` as a document: a suite per environment, a case per expectation.

    Records of one environment are shards, and make one suite.

    A violation at the gate is a failure, what could not be observed at the gate an error; what is advisory, waived
    or does not apply is skipped, with the reason. A run that failed for another reason has a case that says so.
    Raises ReportError when two shards hold the same expectation.
    """
    ordered = sorted(runs, key=lambda run: run.environment)
    suites = [_Suite(name, list(shards)) for name, shards in groupby(ordered, key=lambda run: run.environment)]
    text = to_xml_report_string(suites, prettyprint=False, encoding="utf-8")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


class _Suite:
    """One environment, as `to_xml_report_string` needs it."""

    def __init__(self, environment: str, shards: list[Run]) -> None:
        """Raises ReportError when two of `shards` hold the same expectation."""
        self._environment = environment
        self._shards = shards
        self._results = list(_results_once(environment, shards))

    def build_xml_doc(self, encoding: str | None = None) -> Any:
        """The suite's element. junit-xml knows no properties of cases, so they are put in here, first of all."""
        cases = [self._case(result) for result in self._results]
        closed = [case for shard in self._shards if (case := _closed_case(shard)) is not None]
        suite = TestSuite(
            xml_text(self._environment),
            cases + closed,
            timestamp=timestamp(min(shard.started_at for shard in self._shards)),
            properties=dict(_suite_properties(self._shards)),
        )
        element = suite.build_xml_doc(encoding=encoding)
        for result, node in zip(self._results, element.iter("testcase"), strict=False):
            holder = ET.Element("properties")
            for name, value in properties(result):
                ET.SubElement(holder, "property", name=name, value=value)
            node.insert(0, holder)
        ET.indent(element)
        return element

    def _case(self, result: Result) -> Any:
        case = _new_case(f"{self._environment}.{result.check}", result.id, result.duration_s)
        text = xml_text(failure_text(result, most=None))
        if result.verdict is Verdict.PASSED:
            return case
        if result.verdict is Verdict.VIOLATED and not result.advisory:
            case.add_failure_info(xml_text(_worst(result)), text, failure_type=str(result.severity))
        elif result.verdict is Verdict.UNKNOWN and not result.advisory:
            case.add_error_info(xml_text(result.summary or "unknown"), text, error_type="unknown")
        else:
            case.add_skipped_info(xml_text(_why_skipped(result)), text)
        return case


def _new_case(classname: str, name: str, seconds: float) -> Any:
    # Whole milliseconds: no reader takes 2e-05.
    return TestCase(xml_text(name), xml_text(classname), elapsed_sec=round(seconds, 3))


def _closed_case(run: Run) -> Any | None:
    """A case that fails where the run does and no expectation says why: nothing may look green that is not."""
    told = any(one.verdict in {Verdict.VIOLATED, Verdict.UNKNOWN} and not one.advisory for one in run.results)
    complete = run.counts.declared == run.counts.reported
    if run.gate.open or (told and complete):
        return None
    case = _new_case(f"{run.environment}.opscheck", f"run of {run.policy.path} at {timestamp(run.started_at)}", 0)
    text = f"exit {run.gate.exit_code}: {reason(run)}"
    if run.counts.declared != run.counts.reported:
        text += f"; {run.counts.declared} expectations declared, {run.counts.reported} reported"
    case.add_error_info(xml_text(text), xml_text(text), error_type="run")
    return case


def _results_once(environment: str, shards: Iterable[Run]) -> Iterator[Result]:
    started: dict[str, str] = {}
    for shard in shards:
        for result in shard.results:
            if result.id in started:
                raise ReportError(
                    f"{result.id} is in two records of {environment}, started {started[result.id]} and "
                    f"{timestamp(shard.started_at)}; shards of one run contain each expectation once"
                )
            started[result.id] = timestamp(shard.started_at)
            yield result


def _suite_properties(shards: Sequence[Run]) -> Iterator[tuple[str, str]]:
    for number, shard in enumerate(shards, start=1):
        shown = {
            "policy": shard.policy.path,
            "policy.sha256": shard.policy.sha256,
            "gate.fail_on": shard.gate.fail_on,
            "gate.open": "true" if shard.gate.open else "false",
            "gate.exit_code": str(shard.gate.exit_code),
            "declared": str(shard.counts.declared),
            "reported": str(shard.counts.reported),
            "notices": "\n".join(shard.notices),
        }
        prefix = PREFIX if len(shards) == 1 else f"{PREFIX}.shard.{number}"
        yield from ((f"{prefix}.{name}", xml_text(text)) for name, text in shown.items() if text)


def _worst(result: Result) -> str:
    if not result.findings:
        return result.summary
    return f"{result.findings[0].severity} {finding_line(result.findings[0])}"


def _why_skipped(result: Result) -> str:
    if result.verdict is Verdict.WAIVED and result.waiver:
        return f"waived until {result.waiver.expires} by {result.waiver.owner}: {result.waiver.reason}"
    if result.verdict is Verdict.SKIPPED:
        return f"does not apply: {result.summary}"
    return f"advisory {result.severity} {result.verdict}: {result.summary}"
