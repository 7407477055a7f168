"""The certificates in files."""

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve
from opscheck.systems.tls.expectations.files import TlsFiles
from opscheck.systems.tls.queries.files import CertificateFiles
from opscheck.systems.tls.readings.files import Trouble, by_end, kept, of_unknown_kind, troubles, unseen
from opscheck.systems.tls.readings.lifetimes import Told, judge_lifetime, measure_lifetime, severity_of
from opscheck.systems.tls.readings.serving import stale, unserved

MEASURED = 20


def test_the_certificates_in_files_are_good(expectation: TlsFiles, observe: Observe, findings: Findings) -> None:
    """
    The certificates in files are valid, last long enough, and the newest of them is what is served.

    Services read such files when they start: what has ended in them stops the next one, and a renewed certificate
    that no server was told of helps nobody.
    """
    answer = observe(expectation.files)
    for trouble in troubles(expectation, answer, observe.now):
        tell(findings, trouble)
    judge_time(expectation, answer, observe, findings)
    problem = unseen(answer)
    # Last, as the server may be down: what was found in files stands beside what could not be looked at.
    if expectation.handshakes is not None:
        served = observe(expectation.handshakes)
        for trouble in stale(expectation, kept(answer.files), served, observe.now, all_seen=problem is None):
            tell(findings, trouble)
        problem = problem or unserved(served)
    problem = problem or of_unknown_kind(kept(answer.files))
    if problem is not None:
        raise CouldNotObserve(expectation.files, problem)


def judge_time(expectation: TlsFiles, answer: CertificateFiles, observe: Observe, findings: Findings) -> None:
    """Hold each to how long it must last; of those that do, the ones that end first are measured."""
    findings.measure("files", len(answer.files), subject=", ".join(expectation.paths))
    findings.measure("certificates", sum(len(one.certificates) for one in answer.files))
    for number, one in enumerate(by_end(answer)):
        if severity_of(expectation, one.lifetime, observe.now) is not None:
            told = Told(one.subject, one.evidence, one.facts | {"ending": one.file.path})
            judge_lifetime(findings, expectation, one.lifetime, observe.now, told)
        elif number < MEASURED:
            measure_lifetime(findings, expectation, one.lifetime, observe.now, one.subject)


def tell(findings: Findings, trouble: Trouble) -> None:
    """Record it."""
    findings.add(
        subject=trouble.subject,
        observed=trouble.observed,
        expected=trouble.expected,
        severity=trouble.severity,
        since=trouble.since,
        evidence=trouble.evidence,
        facts=trouble.facts,
    )
