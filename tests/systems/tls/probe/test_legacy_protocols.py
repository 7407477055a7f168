"""Offers of old versions: to real servers that take them or not, and to servers that answer anything."""

import socket
import ssl
import time

import pytest

from opscheck.systems.tls.handshake import LegacyOffer, Protocol
from opscheck.systems.tls.probe.legacy_protocols import client_hello, newest_before, offer
from tests.servers.tls import Listener, issued, limit_to, rsa_key, server_context, speaking

V = ssl.TLSVersion


def offered(port: int, newest: Protocol, wait_s: float = 5, name: str = "127.0.0.1") -> LegacyOffer:
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        return offer(connection, newest, name, time.monotonic() + wait_s)


@pytest.fixture(name="old")
def _old(chain, leaf):
    """It takes everything that its OpenSSL can."""
    context = limit_to(server_context(leaf, chain.middle, even_weak=True), V.MINIMUM_SUPPORTED, V.MAXIMUM_SUPPORTED)
    with Listener(speaking(context)) as server:
        yield server.port


@pytest.fixture(name="new")
def _new(chain, leaf):
    with Listener(speaking(limit_to(server_context(leaf, chain.middle), V.TLSv1_3, V.TLSv1_3))) as server:
        yield server.port


@pytest.mark.parametrize("newest", [Protocol.TLSV1, Protocol.TLSV1_1, Protocol.TLSV1_2])
def test_legacy_server_accepts_the_newest_offered_version(old, newest):
    assert LegacyOffer(accepted=newest) == offered(old, newest)


@pytest.mark.parametrize("newest", [Protocol.SSLV3, Protocol.TLSV1, Protocol.TLSV1_1, Protocol.TLSV1_2])
def test_modern_server_refuses_old_versions(new, newest):
    assert LegacyOffer() == offered(new, newest)


def test_server_with_rsa_key_accepts_it(chain):
    context = server_context(issued("127.0.0.1", key=rsa_key(2048)), even_weak=True)
    with Listener(speaking(limit_to(context, V.MINIMUM_SUPPORTED, V.TLSv1_2))) as server:
        assert LegacyOffer(accepted=Protocol.TLSV1_1) == offered(server.port, Protocol.TLSV1_1)


def saying(data: bytes):
    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(4096)

    return serve


HELLO = "160301002a02000026{version}" + "00" * 40
WARNING = "15030100020170"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (HELLO.format(version="0301"), LegacyOffer(accepted=Protocol.TLSV1)),
        (HELLO.format(version="0300"), LegacyOffer(accepted=Protocol.SSLV3)),
        (WARNING + HELLO.format(version="0302"), LegacyOffer(accepted=Protocol.TLSV1_1)),
        ("15030100020246", LegacyOffer()),
        (WARNING + "15030100020228", LegacyOffer()),
        ("", LegacyOffer()),
        ("1603", LegacyOffer()),
        (HELLO.format(version="7f0f"), LegacyOffer(unknown="it answers 0x7f0f")),
        (b"HTTP/1.1 400 Bad Request".hex(), LegacyOffer(unknown="the answer to an offer of TLSv1.1 is not TLS")),
        ("160301000a0b00000601020304", LegacyOffer(unknown="the answer to an offer of TLSv1.1 is not TLS")),
    ],
    ids=["1.0", "ssl3", "warned", "alert", "warned-alert", "nothing", "half", "odd", "http", "no-hello"],
)
def test_each_answer_means_one_thing(said, expected):
    with Listener(saying(bytes.fromhex(said))) as server:
        assert expected == offered(server.port, Protocol.TLSV1_1)


def test_no_answer_is_unknown():
    with socket.create_server(("127.0.0.1", 0)) as server:
        older = offered(server.getsockname()[1], Protocol.TLSV1_1, wait_s=0.1)

    assert older.accepted is None
    assert older.unknown.startswith("no answer to an offer of TLSv1.1 in ")


def test_an_offer_names_the_host_but_no_address():
    assert b"api.example.test" in client_hello(Protocol.TLSV1_1, "api.example.test")
    assert b"\x00\x00\x00\x00" not in client_hello(Protocol.TLSV1_1, "")[60:]


@pytest.mark.parametrize(
    ("floor", "newest"),
    [
        (Protocol.TLSV1_3, Protocol.TLSV1_2),
        (Protocol.TLSV1_2, Protocol.TLSV1_1),
        (Protocol.TLSV1_1, Protocol.TLSV1),
        (Protocol.TLSV1, Protocol.SSLV3),
    ],
)
def test_the_newest_that_is_too_old(floor, newest):
    assert newest is newest_before(floor)
