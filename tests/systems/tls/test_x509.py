"""Hosts that a certificate covers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscheck.systems.tls.x509 import covers


@pytest.mark.parametrize(
    ("names", "host"),
    [
        (["api.example.com"], "api.example.com"),
        (["API.Example.com."], "api.example.com"),
        (["a.test", "api.example.com"], "api.example.com."),
        (["*.example.com"], "api.example.com"),
        (["*.example.com"], "xn--bcher-kva.example.com"),
        (["xn--bcher-kva.example"], "bücher.example"),
        (["192.0.2.1"], "192.0.2.1"),
        (["2001:db8::1"], "2001:0db8:0:0::1"),
        (["fe80::1"], "fe80::1%eth0"),
        (["localhost"], "localhost"),
    ],
)
def test_a_name_covers_the_host(names, host):
    assert covers(names, host)


@pytest.mark.parametrize(
    ("names", "host"),
    [
        ([], "api.example.com"),
        (["example.com"], "api.example.com"),
        (["*.example.com"], "example.com"),
        (["*.example.com"], "a.b.example.com"),
        (["*.example.com"], ".example.com"),
        (["*.com"], "example.com"),
        (["*"], "localhost"),
        (["a*.example.com"], "api.example.com"),
        (["api.*.com"], "api.example.com"),
        (["*.2.0.192"], "1.2.0.192"),
        (["192.0.2.1"], "192.0.2.2"),
        (["example.com.evil.test"], "example.com"),
        (["api.example.com"], "192.0.2.1"),
    ],
)
def test_a_name_does_not_cover_the_host(names, host):
    assert not covers(names, host)


@given(st.lists(st.text()), st.text())
def test_nothing_in_a_certificate_makes_it_raise(names, host):
    assert covers(names, host) in {True, False}
