"""Judging certificates of real servers."""

from datetime import UTC, datetime
from typing import Any

import pytest

from checks.tls import test_certificate
from opscheck import Findings
from opscheck.core.expectation import Expectation
from opscheck.core.observation import CouldNotObserve, ProbeError
from opscheck.core.record import Finding
from opscheck.core.templates import expectation_facts, render
from opscheck.systems.tls.certificate import TlsCertificate
from opscheck.systems.tls.probe.session import open_session
from opscheck.testing import Answers, expect
from tests.servers.tls import HOST


def judged(port: int, *, host: str = HOST, now: datetime | None = None, wait_s: float = 5, **fields: Any) -> Findings:
    """Shake hands with a real server, and judge it. CouldNotObserve comes through."""
    expectation = expectation_of(port, host, **fields)
    findings = Findings(expectation)
    judge_into(findings, expectation, now or datetime.now(UTC), wait_s)
    return findings


def expectation_of(port: int, host: str = HOST, **fields: Any) -> TlsCertificate:
    return expect(TlsCertificate, endpoint=f"{host}:{port}", **fields)


def judge_into(findings: Findings, expectation: TlsCertificate, now: datetime, wait_s: float) -> None:
    def answer(query: Any) -> Any:
        try:
            return open_session(expectation.endpoint, wait_s).ask(query, wait_s)
        except ProbeError as error:
            return error.problem

    test_certificate.test_the_certificate_that_is_served_is_good(expectation, Answers(answer, now), findings)


def unknown(port: int, *, wait_s: float = 5, **fields: Any) -> tuple[list[Finding], CouldNotObserve]:
    """The findings before something was unknown, and the problem."""
    expectation = expectation_of(port, **fields)
    findings = Findings(expectation)
    with pytest.raises(CouldNotObserve) as raised:
        judge_into(findings, expectation, datetime.now(UTC), wait_s)
    return findings.violations, raised.value


def commands(finding: Finding, expectation: Expectation) -> list[str]:
    facts = expectation_facts(expectation) | dict(finding.facts)
    return [str(render(command, facts)) for command in finding.remediation.commands]
