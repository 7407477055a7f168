"""Formats of certificate files: any bytes parse without an error, and only certificates come out."""

import base64

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, pkcs12
from hypothesis import given
from hypothesis import strategies as st

from opscheck.systems.tls.files import Fault
from opscheck.systems.tls.probe.formats import read_der, read_pem, read_pkcs12
from tests.servers.tls import issued

LEAF = issued()
DER = LEAF.certificate.public_bytes(Encoding.DER)
STORE = pkcs12.serialize_key_and_certificates(
    b"api", LEAF.key, LEAF.certificate, None, BestAvailableEncryption(b"s3cret")
)


@st.composite
def spoilt(draw, whole):
    """The same with some bytes changed, taken away or put in."""
    start = draw(st.integers(0, len(whole)))
    end = draw(st.integers(start, min(len(whole), start + 20)))
    return whole[:start] + draw(st.binary(max_size=20)) + whole[end:]


@given(st.one_of(st.binary(), spoilt(DER)))
def test_no_bytes_make_der_fail(data):
    content = read_der(data)

    assert bool(content.certificates) != bool(content.fault)


@given(st.one_of(st.binary(), spoilt(STORE)), st.sampled_from([None, "", "s3cret"]))
def test_no_bytes_make_pkcs12_fail(data, password):
    content = read_pkcs12(data, password)

    assert bool(content.certificates) != bool(content.fault)


@given(st.lists(st.one_of(st.text(), st.sampled_from(LEAF.pem.decode().splitlines()))), st.integers(0, 9))
def test_missing_pem_certificates_are_always_a_fault(lines, seen):
    content = read_pem(lines, seen, [])

    assert content.fault is not None or len(content.certificates) >= seen > 0


@pytest.mark.parametrize("length", [0, 1, 2, 10, -1])
def test_truncated_der_is_reported(length):
    assert Fault.CUT == read_der(DER[:length]).fault


def test_a_store_of_authorities_alone_is_read():
    truststore = pkcs12.serialize_java_truststore(
        [pkcs12.PKCS12Certificate(LEAF.certificate, b"root")], BestAvailableEncryption(b"changeit")
    )

    assert ("CN=api.example.test",) == tuple(one.subject for one in read_pkcs12(truststore, "changeit").certificates)


def test_parsed_content_contains_no_key():
    key = base64.b64decode("".join(LEAF.key_pem.decode().splitlines()[1:-1]))
    content = msgspec.json.encode(read_pkcs12(STORE, "s3cret").certificates)

    assert key[-32:].hex().encode() not in content
    assert b"s3cret" not in content
