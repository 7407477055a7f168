"""
JUnit XML: the properties that pytest writes into its own file, and whole files made of run records.

There is no one schema. What is written here is what these readers take in: Jenkins' junit plugin shows an element's
`message` and its text, GitLab its text alone, and both tell cases apart by `classname` and `name`.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import IO

from opscheck.core.record import Run
from opscheck.reports.properties import properties

__all__ = ["properties", "write"]


def write(runs: Sequence[Run], stream: IO[str]) -> None:
    """
    Write `runs` to `stream`, which must encode as UTF-8: a suite per environment, a case per expectation.

    Records of one environment are shards, and make one suite.

    A violation at the gate is a failure, what could not be observed at the gate an error; what is advisory, waived
    or does not apply is skipped, with the reason. A run that failed for another reason has a case that says so.
    Raises ReportError when two shards hold the same expectation.
    """
    # A run that writes no such file need not load junit-xml.
    from junit_xml import to_xml_report_string  # noqa: PLC0415

    from opscheck.reports.suites import Suite  # noqa: PLC0415

    ordered = sorted(runs, key=lambda run: run.environment)
    suites = [Suite(name, list(shards)) for name, shards in groupby(ordered, key=lambda run: run.environment)]
    document = to_xml_report_string(suites, prettyprint=False, encoding="utf-8")
    stream.write(f'<?xml version="1.0" encoding="utf-8"?>\n{document}\n')
