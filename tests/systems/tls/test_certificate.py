"""Valid and invalid expectations of served certificates."""

import pytest
from pydantic import ValidationError

from opscheck import Severity
from opscheck.core.templates import malformed, unknown_names
from opscheck.systems.tls.certificate import LOOK, TlsCertificate
from opscheck.systems.tls.handshake import Protocol, ShakeHands, StartTls, client_facts
from opscheck.testing import expect


def expected(endpoint: str = "api.example.com:443", **fields) -> TlsCertificate:
    return expect(TlsCertificate, endpoint=endpoint, **fields)


def test_an_endpoint_alone_is_enough():
    one = expected()

    assert "P3 >= 25%, P1 >= 12.5%, P0 >= 0%" == str(one.remaining_share)
    assert (ShakeHands("tls://api.example.com:443"),) == tuple(one.queries())
    assert (Severity.P0, Severity.P2) == (one.ungraded_severity, one.weak)


def test_the_form_of_the_design_is_one():
    one = expected(remaining={"P3": "30d", "P1": "7d", "P0": "1d"})

    assert one.remaining_share is None
    assert Severity.P0 is one.ungraded_severity


def test_limits_do_not_change_the_query():
    assert expected().handshakes == expected(remaining={"P1": "7d"}, weak="P3", rsa_bits=3072).handshakes


def test_query_has_everything_that_affects_the_answer():
    fields = {"server_name": "b.test", "starttls": "smtp", "ca_file": "ca.pem", "client_certificate": "me.pem"}
    one = expected("mail.test:25", **fields, addresses="ipv6", min_version="1.3", strict=True).handshakes

    assert ("b.test", StartTls.SMTP, "ca.pem", "me.pem") == (
        one.server_name,
        one.starttls,
        one.ca_file,
        one.client_certificate,
    )
    assert (Protocol.TLSV1_3, True, "ipv6") == (one.min_version, one.strict, one.addresses)


@pytest.mark.parametrize(("written", "floor"), [(1.2, "TLSv1.2"), ("1.3", "TLSv1.3"), (1.0, "TLSv1"), (1.1, "TLSv1.1")])
def test_a_version_may_be_written_as_a_number(written, floor):
    assert floor == expected(min_version=written).floor


@pytest.mark.parametrize(
    "fields",
    [
        {"min_version": "TLSv1.2"},
        {"min_version": 2},
        {"min_version": 1.25},
        {"starttls": "ftp"},
        {"addresses": "ipv5"},
        {"server_name": ""},
        {"server_name": "https://api.example.com"},
        {"server_name": "api.example.com:443"},
        {"server_name": "*.example.com"},
        {"server_name": "a..b"},
        {"server_name": "x" * 70},
        {"ca_file": ""},
        {"rsa_bits": 0},
        {"remaining_share": {"P1": "100%"}},
    ],
    ids=str,
)
def test_invalid_fields_are_refused(fields):
    with pytest.raises(ValidationError):
        expected(**fields)


def test_a_name_is_written_as_certificates_have_it():
    assert "api.example.com" == expected(server_name="API.Example.com.").server_name
    assert "2001:db8::1" == expected(server_name="2001:db8::1").server_name


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({}, ("-servername", "api.example.com")),
        ({"starttls": "imap"}, ("-starttls", "imap", "-servername", "api.example.com")),
        ({"endpoint": "192.0.2.1:443"}, ("-noservername",)),
        ({"endpoint": "[2001:db8::1]:443"}, ("-noservername",)),
        ({"endpoint": "192.0.2.1:443", "server_name": "a.test"}, ("-servername", "a.test")),
        ({"endpoint": "192.0.2.1:25", "starttls": "smtp"}, ("-starttls", "smtp", "-noservername")),
    ],
    ids=str,
)
def test_there_is_one_way_to_look_at_each_endpoint(fields, options):
    one = expected(**fields)
    facts = client_facts(one.endpoint.address, one.server_name or one.endpoint.host, one.starttls)

    assert (one.endpoint.address, options) == (facts["address"], facts["client_options"])


def test_inspection_command_has_a_comment():
    look = "openssl s_client -connect {{ address }} {{ client_options }} </dev/null  # the chain, with its validity"

    assert (look,) == LOOK.commands


def test_commands_name_known_facts():
    commands = [command for remedy in TlsCertificate.remedies for command in remedy.commands]

    assert [] == [fault for command in commands for fault in malformed(command)]
    assert [] == [name for command in commands for name in unknown_names(command, expected())]
    assert [] == [name for name in TlsCertificate.fact_names if f"{{{{ {name} }}}}" not in " ".join(commands)]
