"""`tls.files` on real files, compared with real servers."""

import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from checks.tls.test_files import test_the_certificates_in_files_are_good as check
from opscheck import Findings, HostTarget, Severity
from opscheck.core.observation import CouldNotObserve, ProbeError, Problem
from opscheck.core.record import Finding
from opscheck.core.templates import expectation_facts, render
from opscheck.systems.host.probe import open_session
from opscheck.systems.tls.files import ReadCertificateFiles, TlsFiles
from opscheck.systems.tls.probe.session import open_session as open_endpoint
from opscheck.testing import Answers, expect, judge
from tests.registries import answer as answer_of
from tests.servers.tls import (
    DAY,
    HOST,
    Chain,
    Issued,
    Listener,
    issued,
    limit_to,
    resolve,
    rsa_key,
    server_context,
    speaking,
    tls_server,
)

SHOWN = "</dev/null | openssl x509 -noout -dates -serial"
HERE = HostTarget(kind="host", uri="local://")


@pytest.fixture(name="chain", scope="module")
def _chain() -> Chain:
    return Chain.made()


@pytest.fixture(name="folder")
def _folder(tmp_path) -> Path:
    return tmp_path


def expectation(*paths: object, target: HostTarget = HERE, **fields: Any) -> TlsFiles:
    return expect(TlsFiles, target, paths=[str(path) for path in paths], **fields)


def answer(query: Any, target: HostTarget = HERE, asked: TlsFiles | None = None) -> Any:
    """The answer of the real host or endpoint."""
    try:
        if isinstance(query, ReadCertificateFiles):
            return answer_of(open_session(target, 10), query, 10)
        assert asked is not None
        return open_endpoint(asked.served_at, 5).ask(query, 5)
    except ProbeError as error:
        return error.problem


def judged(*paths: object, target: HostTarget = HERE, now: datetime | None = None, **fields: Any) -> Findings:
    asked = expectation(*paths, target=target, **fields)
    return judge(check, asked, lambda query: answer(query, target, asked), now or datetime.now(UTC))


def only(*paths: object, **fields: Any) -> Finding:
    (violation,) = judged(*paths, **fields).violations
    return violation


def unknown(*paths: object, target: HostTarget = HERE, **fields: Any) -> tuple[list[Finding], Problem]:
    """The findings before something was unknown, and the problem."""
    asked = expectation(*paths, target=target, **fields)
    findings = Findings(asked)
    with pytest.raises(CouldNotObserve) as raised:
        check(asked, Answers(lambda query: answer(query, target, asked), datetime.now(UTC)), findings)
    return findings.violations, raised.value.problem


def commands(finding: Finding, asked: TlsFiles) -> list[str]:
    known = expectation_facts(asked) | dict(finding.facts)
    return [str(render(one, known)) for one in finding.remediation.commands]


# Files


def test_a_chain_that_lasts_passes_and_is_measured(folder, chain):
    path = chain.leaf().write(folder / "full.pem", chain.middle)
    findings = judged(folder / "*.pem")

    assert [] == findings.violations
    files, certificates, remaining, share = findings.measurements
    assert (("files", 1), ("certificates", 2)) == ((files.name, files.value), (certificates.name, certificates.value))
    assert ("remaining", str(path), None) == (remaining.name, remaining.subject, remaining.limit)
    assert (60 * 86400, 100 * 60 / 90) == (
        pytest.approx(remaining.value, rel=1e-3),
        pytest.approx(share.value, rel=1e-3),
    )


def test_ended_certificate_has_its_chain_and_since(folder, chain):
    path = chain.leaf(ends=-3 * DAY).write(folder / "full.pem", chain.middle)
    finding = only(path)

    assert (str(path), Severity.P0) == (finding.subject, finding.severity)
    assert finding.observed.startswith("ended 3d")
    assert [HOST, "CN=Test Issuing"] == [line.split(": ")[1].split(", by")[0] for line in finding.evidence]
    assert f"openssl x509 -in {path} -noout -subject -issuer -dates" in commands(finding, expectation(path))


def test_authority_that_ends_first_is_the_weakest_link(folder):
    short = Chain.made(ends=5 * DAY)
    path = short.leaf().write(folder / "full.pem", short.middle)
    finding = only(path)

    assert finding.observed.startswith(("ends in 4d23h", "ends in 5d "))
    assert (Severity.P1, "first to end: CN=Test Issuing") == (finding.severity, finding.evidence[-1])


def test_share_of_an_authority_counts_the_leafs_lifetime(folder, chain):
    """Of 2,000 days half are over, and of a leaf of 90 a third."""
    long = Chain.made(begins=-900 * DAY, ends=100 * DAY)

    assert [] == judged(long.leaf().write(folder / "full.pem", long.middle)).violations


def test_each_of_several_in_a_bundle_is_judged_by_itself(folder):
    old, new = issued("old", ends=-DAY), issued("new")
    path = folder / "bundle.pem"
    path.write_bytes(new.pem + old.pem)

    assert [f"{path}: old"] == [finding.subject for finding in judged(path).violations]


def test_one_of_six_days_is_not_red_for_life(folder):
    for age in range(5):
        issued(begins=-age * DAY, ends=(6 - age) * DAY).write(folder / f"{age}.pem")

    assert [] == judged(folder / "*.pem").violations
    strict = judged(folder / "*.pem", remaining_share={"P1": "34%"})
    assert [f"{folder}/4.pem"] == [finding.subject for finding in strict.violations]


def test_one_that_is_not_valid_yet_hints_at_the_clock(folder):
    finding = only(issued(begins=DAY, ends=90 * DAY).write(folder / "early.pem"))

    assert finding.observed.startswith("not valid before")
    assert "compare the clocks" in finding.evidence[0]


def test_weak_key_has_its_own_severity(folder):
    finding = only(issued(key=rsa_key(1024)).write(folder / "weak.pem"), weak="P3")

    assert ("RSA key of 1024 bits", ">= 2048 bits", Severity.P3) == (
        finding.observed,
        finding.expected,
        finding.severity,
    )


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_a_key_of_unknown_kind_is_unknown(folder):
    """A curve of 112 bits is one that is not known here, and must not pass for a good key."""
    path = folder / "odd.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:secp112r1 -nodes -days 90 -subj /CN=odd -keyout"
    subprocess.run(["openssl", *words.split(), folder / "key", "-out", path], check=True, capture_output=True)
    findings, problem = unknown(path)

    assert [] == findings
    assert f"{path} has a key of unknown type" == problem.text
    assert f"openssl x509 -noout -text -in {path}" in problem.advice


@pytest.mark.parametrize(
    ("observed", "text"),
    [
        ("empty", lambda leaf: b""),
        ("no certificate found: it contains PRIVATE KEY", lambda leaf: leaf.key_pem),
        ("truncated certificate: certificate 1 of 1 has no END line", lambda leaf: leaf.pem[:200]),
        (
            "truncated certificate: certificate 2 of 2 has no END line; 1 valid certificate",
            lambda leaf: leaf.pem + leaf.pem[:200],
        ),
        ("invalid certificate: certificate 1 of 1 cannot be parsed", lambda leaf: leaf.pem.replace(b"M", b"!")),
    ],
    ids=["empty", "key", "part", "second part", "damaged"],
)
def test_defective_file_is_described(folder, observed, text):
    path = folder / "api.pem"
    path.write_bytes(text(issued()))
    finding = only(path, severity="P2")

    assert (str(path), observed, Severity.P2) == (finding.subject, finding.observed, finding.severity)
    assert [f"ls -l {path}; grep -c BEGIN {path}"] == commands(finding, expectation(path))


def test_unmatched_pattern_lists_the_nearest_folder(folder):
    for name in "abcd":
        issued().write(folder / f"{name}.crt")
    finding = only(folder / "*.pem")

    assert (f"{folder}/*.pem", "a file") == (finding.subject, finding.expected)
    assert f"no file matches; {folder} contains 4 other files: a.crt, b.crt, c.crt, …" == finding.observed
    assert [f"ls -la {folder}"] == commands(finding, expectation(folder / "*.pem"))


def test_a_keystore_is_judged_like_any_other_file(folder):
    path = keystore(folder, issued(ends=-DAY))
    finding = only(path, target=HostTarget(kind="host", uri="local://", keystore_password="s3cret"))

    assert finding.observed.startswith("ended 1d")
    assert f"openssl pkcs12 -in {path} -nokeys -info" in commands(finding, expectation(path))


def keystore(folder: Path, leaf: Issued) -> Path:
    path = folder / "store.p12"
    encryption = BestAvailableEncryption(b"s3cret")
    path.write_bytes(pkcs12.serialize_key_and_certificates(b"api", leaf.key, leaf.certificate, None, encryption))
    return path


@pytest.mark.parametrize(
    ("text", "advice", "password"),
    [
        ("has a password", "set the target's `keystore_password`", None),
        ("has another password", "correct the target's `keystore_password`", "another"),
    ],
)
def test_unopened_keystore_is_unknown_and_findings_stay(folder, text, advice, password):
    path = keystore(folder, issued())
    issued(ends=-DAY).write(folder / "old.pem")
    target = HostTarget(kind="host", uri="local://", keystore_password=password)
    found, problem = unknown(folder / "*", target=target)

    assert [f"{folder}/old.pem"] == [finding.subject for finding in found]
    assert (f"{path} {text}", advice) == (problem.text, problem.advice)


# Served certificates


@pytest.fixture(name="served")
def _served(chain) -> Iterator[tuple[Issued, int]]:
    """A server with a certificate that was issued thirty days ago."""
    leaf = chain.leaf("localhost", names=["localhost", HOST])
    with tls_server(leaf, chain.middle) as port:
        yield leaf, port


def at(port: int, **fields: Any) -> dict[str, Any]:
    return {"served_at": f"localhost:{port}", "addresses": "ipv4", **fields}


def written(path: Path, *, hours: float) -> Path:
    """As if it had been written so long ago."""
    then = time.time() - hours * 3600
    os.utime(path, (then, then))
    return path


def test_the_newest_that_is_served_passes(folder, chain, served):
    leaf, port = served
    leaf.write(folder / "new.pem", chain.middle)
    chain.leaf("localhost", names=["localhost", HOST], begins=-80 * DAY, ends=25 * DAY).write(folder / "old.pem")

    assert [] == judged(folder / "*.pem", **at(port), remaining={"P1": "7d"}).violations


def renewed(folder: Path, chain: Chain, *, hours: float, **fields: Any) -> Path:
    given = {"names": [HOST, "localhost"], "begins": -DAY, "ends": 89 * DAY} | fields
    return written(chain.leaf("localhost", **given).write(folder / "new.pem", chain.middle), hours=hours)


def test_renewed_but_not_loaded_certificate_is_stale(folder, chain, served):
    leaf, port = served
    path = renewed(folder, chain, hours=5)
    finding = only(path, **at(port))

    assert (f"127.0.0.1:{port}", "the newest certificate, within 1h", Severity.P2) == (
        finding.subject,
        finding.expected,
        finding.severity,
    )
    assert finding.observed.startswith(("served certificate ends in 59d23h", "served certificate ends in 60d "))
    assert f"; older than {path}, written 5h" in finding.observed
    assert f"serial {leaf.certificate.serial_number:X}" in finding.evidence[0]
    assert [
        f"openssl x509 -in {path} -noout -dates -serial",
        f"openssl s_client -connect localhost:{port} -servername localhost {SHOWN}",
        f"systemctl reload nginx  # or the other server at localhost:{port}",
    ] == commands(finding, expectation(path, **at(port)))


@pytest.mark.parametrize(("count", "hours"), [(0, 0.9), (1, 1.1)])
def test_a_file_that_was_just_written_may_be_loaded_yet(folder, chain, served, count, hours):
    path = renewed(folder, chain, hours=hours)

    assert count == len(judged(path, **at(served[1])).violations)


def test_rewritten_but_never_loaded_certificate_is_stale(folder, chain, served):
    path = renewed(folder, chain, hours=0, begins=-25 * DAY, ends=65 * DAY)

    assert 1 == len(judged(path, **at(served[1])).violations)


def test_stale_certificate_has_the_severity_of_its_lifetime(folder, chain):
    old = chain.leaf("localhost", begins=-89 * DAY, ends=DAY)
    path = renewed(folder, chain, hours=5, names=["localhost"])
    with tls_server(old, chain.middle) as port:
        assert Severity.P1 == only(path, **at(port), stale="P3").severity


def test_served_certificate_newer_than_files_is_a_finding(folder, chain, served):
    path = renewed(folder, chain, hours=5, begins=-60 * DAY, ends=40 * DAY)
    finding = only(path, **at(served[1]))

    assert finding.observed.endswith(f"; newer than {path}, which a restart would load")


def test_served_certificate_in_no_file_is_a_finding(folder, chain, served):
    finding = only(chain.leaf("other.example.com").write(folder / "other.pem"), **at(served[1]))

    assert finding.observed.endswith("; no file has a certificate for its names")
    assert ("the files are for other.example.com",) == finding.evidence


def test_of_a_pair_with_keys_of_two_kinds_either_may_be_served(folder, chain, served):
    leaf, port = served
    leaf.write(folder / "ec.pem", chain.middle)
    names = ["localhost", HOST]
    chain.leaf("localhost", names=names, key=rsa_key(2048), begins=-29 * DAY).write(folder / "rsa.pem")

    assert [] == judged(folder / "*.pem", **at(port)).violations


def test_new_key_type_after_renewal_is_not_a_pair(folder, chain, served):
    leaf, port = served
    leaf.write(folder / "1.pem", chain.middle)
    names = ["localhost", HOST]
    new = chain.leaf("localhost", names=names, key=rsa_key(2048), begins=-DAY, ends=89 * DAY).write(folder / "2.pem")
    written(new, hours=5)

    assert 1 == len(judged(folder / "*.pem", **at(port)).violations)


def test_every_address_is_judged(folder, chain, served, monkeypatch):
    new = chain.leaf("localhost", names=["localhost", HOST], begins=-DAY, ends=89 * DAY)
    path = written(new.write(folder / "new.pem", chain.middle), hours=5)
    _, port = served
    with tls_server(new, chain.middle, host="127.0.0.2", port=port):
        resolve(monkeypatch, "127.0.0.1", "127.0.0.2")
        finding = only(path, served_at=f"{HOST}:{port}", server_name="localhost")

    assert f"127.0.0.1:{port}" == finding.subject


def test_down_server_is_unknown_and_findings_stay(folder, chain):
    issued(ends=-DAY).write(folder / "old.pem")
    with tls_server(chain.leaf()) as port:
        pass
    found, problem = unknown(folder / "old.pem", **at(port))

    assert 1 == len(found)
    assert problem.target_down


def test_requested_client_certificate_is_sent(folder, chain):
    """Up to TLS 1.2 it serves nothing without."""
    leaf, stranger = chain.leaf(), Chain.made()
    path, client = leaf.write(folder / "api.pem", chain.middle), folder / "client"
    stranger.leaf("opscheck", client=True).write(client, stranger.middle)
    context = limit_to(server_context(leaf, chain.middle), ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=stranger.root.pem.decode())

    with Listener(speaking(context)) as listener:
        assert "name one in `client_certificate`" in unknown(path, **at(listener.port))[1].advice
        assert [] == judged(path, client_certificate=str(client), **at(listener.port)).violations


def test_unread_file_may_hold_the_served_certificate(folder, chain, served):
    keystore(folder, served[0])
    chain.leaf("other.example.com").write(folder / "other.pem")
    found, problem = unknown(folder / "*", **at(served[1]))

    assert [] == found
    assert "has a password" in problem.text


def test_no_key_or_password_is_in_any_output(folder, chain, served):
    leaf, port = served
    leaf.write(folder / "full.pem", chain.middle)
    keystore(folder, leaf)
    target = HostTarget(kind="host", uri="local://", keystore_password="s3cret")
    asked = expectation(folder / "*", target=target, **at(port))
    answers = [answer(query, target, asked) for query in asked.queries()]
    findings = judged(folder / "*", target=target, remaining={"P3": "900d"}, **at(port))
    text = msgspec.json.encode([answers, [query.text() for query in asked.queries()], findings.violations])

    assert b"s3cret" not in text
    assert b"PRIVATE" not in text
    for line in leaf.key_pem.splitlines()[1:-1]:
        assert line not in text
