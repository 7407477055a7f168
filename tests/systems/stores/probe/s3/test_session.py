"""Buckets that cannot be reached, and servers that are no S3 or a hostile one: each ends in time, with a reason."""

import ssl
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
import trustme
from pydantic import ValidationError

from opscheck.core.observation import ProblemKind
from opscheck.demo.serving import Exchange, LoopbackServer, Response, Tls
from opscheck.systems.stores.listing import ListBackups
from opscheck.systems.stores.probe.s3.session import open_session
from opscheck.systems.stores.target import S3Target
from opscheck.transport.processes import free_port
from tests.servers.web import problem_of

KEYS = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "geheim"}
LISTED = b'<?xml version="1.0"?><ListBucketResult><IsTruncated>%s</IsTruncated>%b</ListBucketResult>'
ONE = b"<Contents><Key>a</Key><LastModified>2026-03-01T02:00:00Z</LastModified><Size>1</Size></Contents>"


@pytest.fixture(autouse=True)
def _credentials(in_environment):
    in_environment(KEYS)


@pytest.fixture(name="tls")
def _tls() -> Tls:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return Tls(context, authority.cert_pem.bytes())


def target(server: LoopbackServer | str, **fields) -> S3Target:
    url = server if isinstance(server, str) else server.url
    return S3Target(kind="s3", name="target", bucket="backups", endpoint_url=url, path_style=True, **fields)


def xml(body: bytes, status: int = 200) -> Response:
    return Response(status=status, body=body, content_type="application/xml")


def listing(more: bytes = b"false", content: bytes = b"") -> Response:
    return xml(LISTED % (more, content))


def refuses(code: str, status: int) -> Callable[[Exchange], None]:
    body = f"<Error><Code>{code}</Code><Message>geheim said</Message></Error>".encode()
    return lambda exchange: exchange.send(xml(body, status))


def contact(server, timeout_s: float = 5):
    """What the first contact says."""
    return problem_of(lambda: open_session(target(server), timeout_s))


@pytest.mark.parametrize(
    ("code", "status", "kind", "text"),
    [
        ("NoSuchBucket", 404, ProblemKind.ABSENT, "there is no bucket backups"),
        ("InvalidAccessKeyId", 403, ProblemKind.DENIED, "the store does not know the access key"),
        ("SignatureDoesNotMatch", 403, ProblemKind.DENIED, "the secret access key is not the one that belongs"),
        ("ExpiredToken", 400, ProblemKind.DENIED, "the session token has expired"),
        ("RequestTimeTooSkewed", 403, ProblemKind.DENIED, "the clock of this machine"),
        ("SlowDown", 503, ProblemKind.UNREADABLE, "limits the request rate"),
        ("OutOfCheese", 500, ProblemKind.UNREADABLE, "the store answered ListObjectsV2 with OutOfCheese (500)"),
    ],
)
def test_refusal_is_reported_with_advice_and_without_the_stores_text(serve, code, status, kind, text):
    problem = contact(serve(refuses(code, status)))

    assert (kind, True) == (problem.kind, problem.target_down)
    assert text in problem.text
    assert "geheim" not in problem.text + problem.advice


def test_permission_to_list_only_a_prefix_is_enough(serve):
    open_session(target(serve(refuses("AccessDenied", 403))), 5).close()


def test_bucket_in_another_region_is_reported_with_the_field_that_names_it(serve):
    problem = contact(serve(refuses("PermanentRedirect", 301)))

    assert (ProblemKind.UNSUPPORTED, "name its `region` in the target") == (problem.kind, problem.advice)


def test_without_credentials_nobody_is_asked(serve, in_environment):
    in_environment({})
    server = serve(lambda exchange: exchange.send(listing()))

    problem = contact(server)

    assert (ProblemKind.DENIED, "no AWS credentials were found") == (problem.kind, problem.text)
    assert () == server.requests


def test_a_profile_that_there_is_not_is_reported(in_environment):
    problem = problem_of(lambda: open_session(target("http://127.0.0.1:1", profile="nobody"), 5))

    assert ProblemKind.UNSUPPORTED == problem.kind
    assert "nobody" in problem.text
    assert "`profile`" in problem.advice


@pytest.mark.parametrize("bucket", ["no bucket", "a/b", ""])
def test_a_name_that_no_bucket_can_have_is_reported(bucket):
    wrong = S3Target(kind="s3", name="target", bucket=bucket, endpoint_url="http://127.0.0.1:1")

    assert ProblemKind.UNSUPPORTED == problem_of(lambda: open_session(wrong, 5)).kind


def test_invalid_endpoint_is_rejected_without_its_text():
    with pytest.raises(ValidationError, match=r"an address such as https://s3\.example\.com") as error:
        target("http://user:geheim@[")

    assert "geheim" not in str(error.value)


def test_a_port_where_no_process_listens_is_reported():
    problem = contact(f"http://127.0.0.1:{free_port()}")

    assert (ProblemKind.UNREACHABLE, True) == (problem.kind, problem.target_down)
    assert "connection refused" in problem.text


def test_unknown_ca_is_reported_with_the_field_ca_file(tls):
    with LoopbackServer(lambda exchange: exchange.send(listing()), tls=tls) as server:
        problem = contact(server)

    assert "unknown CA" in problem.text
    assert "`ca_file`" in problem.advice


def test_the_authority_that_the_target_names_is_trusted(tls, tmp_path):
    (tmp_path / "ca.pem").write_bytes(tls.authority)
    with LoopbackServer(lambda exchange: exchange.send(listing(b"false", ONE)), tls=tls) as server:
        session = open_session(target(server, ca_file=str(tmp_path / "ca.pem")), 5)
        found = session.ask(ListBackups("target", "*"), 5)
        session.close()

    assert ["a"] == [one.key for one in found.backups]


def test_a_silent_server_is_late(serve):
    started = time.monotonic()

    problem = contact(serve(lambda exchange: exchange.pause()), 0.4)

    assert (ProblemKind.LATE, False) == (problem.kind, time.monotonic() - started > 6)


@pytest.mark.parametrize("head", [b"", listing().head()], ids=["head", "body"])
def test_a_byte_at_a_time_is_late(serve, head):
    def drip(exchange: Exchange) -> None:
        exchange.write(head)
        with suppress(OSError):
            for byte in listing().head() + LISTED:
                exchange.write(bytes([byte]))
                exchange.pause(0.05)

    started = time.monotonic()

    problem = contact(serve(drip), 0.5)

    assert (ProblemKind.LATE, False) == (problem.kind, time.monotonic() - started > 6)


@pytest.mark.parametrize(
    "body",
    [
        b"<html><body>sign in</body></html>",
        b"<!DOCTYPE html><p>sign in",
        b"<ListBucketResult><Contents><Key>a",
        b"\x00\xff\xfe",
        b"",
        b"{}",
    ],
)
def test_invalid_listing_is_not_an_empty_one(serve, body):
    assert ProblemKind.UNREADABLE == contact(serve(lambda exchange: exchange.send(xml(body)))).kind


def test_half_an_answer_is_reported(serve):
    def half(exchange: Exchange) -> None:
        exchange.write(listing().head() + b"<ListBucketResult>")
        exchange.drop()

    problem = contact(serve(half))

    assert ProblemKind.UNREADABLE == problem.kind
    assert "broke off" in problem.text


def test_a_server_that_speaks_something_else_is_reported(serve):
    def greet(exchange: Exchange) -> None:
        exchange.write(b"220 mail.example.com ESMTP\r\n")
        exchange.drop()

    problem = contact(serve(greet))

    assert (ProblemKind.UNREADABLE, True) == (problem.kind, problem.target_down)


def test_an_answer_without_end_is_cut(serve, monkeypatch):
    monkeypatch.setattr("opscheck.systems.stores.probe.s3.transport.MOST_BYTES", 2**20)
    server = serve(lambda exchange: exchange.send(xml(b"<ListBucketResult>" + b" " * 2**21)))

    assert "more than 1 MiB" in contact(server).text


def ask_pages(serve, answer: Callable[[int], Response], timeout_s: float = 5):
    """What a store says of its backups whose pages a test makes up; the first is that of the first contact."""
    pages = 0

    def page(exchange: Exchange) -> None:
        nonlocal pages
        pages += 1
        exchange.send(answer(pages) if exchange.request.query.get("max-keys") != "1" else listing())

    session = open_session(target(serve(page)), 5)
    return problem_of(lambda: session.ask(ListBackups("target", "*"), timeout_s))


def test_a_token_that_comes_again_ends_the_listing(serve):
    token = b"<NextContinuationToken>again</NextContinuationToken>"

    problem = ask_pages(serve, lambda _: listing(b"true", ONE + token))

    assert (ProblemKind.UNREADABLE, "s3://backups says that there is more, and gives the same") == (
        problem.kind,
        problem.text,
    )


def test_a_token_says_that_there_is_more_where_nothing_else_does(serve):
    token = b"<NextContinuationToken>again</NextContinuationToken>"
    silent = xml(b'<?xml version="1.0"?><ListBucketResult>%b%b</ListBucketResult>' % (ONE, token))

    assert ProblemKind.UNREADABLE == ask_pages(serve, lambda _: silent).kind


def test_more_without_a_token_is_not_a_end(serve):
    assert ProblemKind.UNREADABLE == ask_pages(serve, lambda _: listing(b"true", ONE)).kind


def test_pages_without_end_are_late_and_it_is_reported_how_many_there_were(serve):
    def page(number: int) -> Response:
        return listing(b"true", ONE + b"<NextContinuationToken>%d</NextContinuationToken>" % number)

    problem = ask_pages(serve, page, 1)

    assert (ProblemKind.LATE, False) == (problem.kind, problem.target_down)
    assert "was not listed to its end after" in problem.text


def test_a_proxy_of_the_environment_is_not_a_way_to_this_machine(serve, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    server = serve(lambda exchange: exchange.send(listing()))

    open_session(target(server), 5).close()

    assert 1 == len(server.requests)


def test_a_proxy_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)

    problem = contact("http://store.example")

    assert (ProblemKind.UNREACHABLE, True) == (problem.kind, problem.target_down)


def test_it_asks_once(serve, monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "5")
    server = serve(refuses("SlowDown", 503))

    contact(server)

    assert 1 == len(server.requests)
