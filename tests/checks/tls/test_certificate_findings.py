"""tls.certificate: findings from given answers."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from checks.tls.test_certificate import first_to_end, served, unknown, unreached, violations
from opscheck.core.observation import Problem, ProblemKind
from opscheck.systems.tls.certificate import TlsCertificate
from opscheck.systems.tls.handshake import Handshake, Handshakes, LegacyOffer, Protocol
from opscheck.systems.tls.lifetime import Lifetime
from opscheck.systems.tls.x509 import Certificate
from opscheck.testing import NOON, expect

DAY = timedelta(days=1)
REFUSED = Problem(kind=ProblemKind.UNREACHABLE, text="connection refused by b")


def certificate(subject: str, issuer: str, *, begins: float = -30, ends: float = 60, **fields) -> Certificate:
    given = {"key": "EC", "key_bits": 256, "signature_hash": "sha256", "serial": "1", "fingerprint": subject} | fields
    span = {"not_before": NOON + begins * DAY, "not_after": NOON + ends * DAY}
    return Certificate(subject=f"CN={subject}", issuer=f"CN={issuer}", **span, **given)


LEAF = certificate("leaf", "middle", names=("api.test",))
MIDDLE = certificate("middle", "root", ends=900)
ROOT = certificate("root", "root", ends=3000, self_issued=True)
GOOD = Handshake(address="a:443", protocol="TLSv1.3", sent=(LEAF, MIDDLE), chain=(LEAF, MIDDLE, ROOT))


def expected(**fields) -> TlsCertificate:
    return expect(TlsCertificate, endpoint="api.test:443", **fields)


def answer(*handshakes: Handshake) -> Handshakes:
    return Handshakes(server_name="api.test", addresses=handshakes)


def told(handshake: Handshake, **fields) -> list[str]:
    (one,) = served(expected(**fields), answer(handshake))
    return [finding.observed for finding in violations(one, NOON)]


def test_nothing_is_wrong_with_a_good_one():
    assert [] == told(GOOD)


def test_equal_addresses_are_grouped_and_others_named():
    (one,) = served(expected(), answer(GOOD, replace(GOOD, address="b:443")))
    two, three = served(expected(), answer(GOOD, replace(GOOD, address="b:443", protocol="TLSv1.2")))

    assert ("api.test:443", ("a:443", "b:443")) == (one.subject(), one.addresses)
    assert ["api.test:443 at a:443", "api.test:443 at b:443"] == [two.subject(), three.subject()]


def test_first_to_end_or_every_ended_certificate_counts():
    ended = replace(MIDDLE, not_after=NOON - DAY)

    assert [LEAF] == first_to_end(GOOD.chain, NOON)
    assert [ended] == first_to_end((LEAF, ended, ROOT), NOON)
    assert [LEAF, MIDDLE] == first_to_end(GOOD.chain, NOON + 1000 * DAY)


def test_a_share_of_an_intermediate_is_one_of_the_leafs_lifetime():
    short = replace(MIDDLE, not_after=NOON + 9 * DAY)

    assert 10.0 == pytest.approx(Lifetime.of_path((LEAF, short), short).share_left(NOON))


def test_a_leaf_that_outlasts_the_calendar_has_a_share_too():
    endless = replace(LEAF, not_after=datetime(9999, 12, 31, tzinfo=UTC))

    assert 0 < Lifetime.of_path((endless, MIDDLE), MIDDLE).share_left(NOON) < 1


def test_a_certificate_without_any_name_is_for_none():
    leaf = replace(LEAF, names=(), subject="")

    assert ["no name"] == told(replace(GOOD, sent=(leaf, MIDDLE), chain=(leaf, MIDDLE, ROOT)))


def test_unknown_legacy_offers_do_not_split_addresses():
    offers = [
        replace(GOOD, address=place, older=LegacyOffer(unknown=f"{place} is silent")) for place in ("a:443", "b:443")
    ]

    assert 1 == len(served(expected(), answer(*offers)))


def test_unknown_authority_differs_from_missing_intermediate():
    untrusted = replace(GOOD, chain=(), untrusted="unable to get local issuer certificate", untrusted_code=20)

    assert ["unknown CA: CN=root"] == told(untrusted)
    assert "is neither sent nor in the trust store" in told(replace(untrusted, sent=(LEAF,)))[0]
    # The sent certificate is not part of the chain.
    assert "is neither sent nor in the trust store" in told(replace(untrusted, sent=(LEAF, ROOT)))[0]


@pytest.mark.parametrize(
    ("code", "observed"),
    [
        (18, "self-signed certificate"),
        (19, "unknown CA: CN=middle"),
        (26, "untrusted: unsuitable certificate purpose"),
    ],
)
def test_each_reason_has_its_words(code, observed):
    handshake = replace(GOOD, chain=(), untrusted="unsuitable certificate purpose", untrusted_code=code)

    assert [observed] == told(handshake)


def test_signature_of_the_authority_is_irrelevant():
    """Neither where it signs itself, nor where an older authority did."""
    root = replace(ROOT, signature_hash="sha1")
    anchor = replace(MIDDLE, signature_hash="md5")

    assert [] == told(replace(GOOD, chain=(LEAF, MIDDLE, root)))
    assert [] == told(replace(GOOD, chain=(LEAF, anchor)))
    assert ["signed with MD5"] == told(replace(GOOD, chain=(LEAF, anchor, ROOT)))


def test_weak_key_of_an_authority_names_the_authority():
    root = replace(ROOT, key="RSA", key_bits=1024)
    (one,) = served(expected(), answer(replace(GOOD, chain=(LEAF, MIDDLE, root))))
    (weak,) = violations(one, NOON)

    assert ("api.test:443: authority CN=root", "RSA key of 1024 bits") == (weak.subject, weak.observed)


@pytest.mark.parametrize(
    ("code", "told_by"),
    [(10, {"ended"}), (62, {"names"}), (66, {"key_bits"}), (0, {"protocol"})],
)
def test_openssl_reason_is_reported_unless_explained(code, told_by):
    """And only there."""
    refused = replace(GOOD, refused="what OpenSSL says", refused_code=code)
    changes = {
        "ended": replace(refused, chain=(replace(LEAF, not_after=NOON - DAY), MIDDLE, ROOT)),
        "names": replace(refused, chain=(replace(LEAF, names=("x",)), MIDDLE, ROOT)),
        "key_bits": replace(refused, chain=(replace(LEAF, key="RSA", key_bits=1024), MIDDLE, ROOT)),
        "protocol": replace(refused, protocol="TLSv1"),
    }
    text = "rejected by clients with default settings: what OpenSSL says"

    assert [text] == told(refused)
    assert told_by == {name for name, handshake in changes.items() if text not in told(handshake)}


def test_accepted_weaknesses_explain_the_refusal():
    weak = replace(LEAF, key="RSA", key_bits=1024)
    small = replace(GOOD, chain=(weak, MIDDLE, ROOT), refused="EE certificate key too weak", refused_code=66)
    old = replace(GOOD, protocol="TLSv1.1", refused="UNSUPPORTED_PROTOCOL")

    assert [] == told(small, rsa_bits=1024)
    assert [] == told(old, min_version="1.1")


def test_unanswered_legacy_offer_is_unknown():
    silent = replace(GOOD, older=LegacyOffer(unknown="no answer"))

    assert unknown(expected(), answer(GOOD)) is None
    assert "no answer" in unknown(expected(), answer(silent)).text
    assert unknown(expected(), answer(replace(silent, protocol="TLSv1"))) is None
    assert unknown(expected(), answer(replace(silent, sent=(), chain=(), failure="x"))) is None


def test_a_key_of_unknown_kind_is_unknown():
    assert "a key of unknown type" in unknown(expected(), answer(replace(GOOD, sent=(replace(LEAF, key=""),)))).text


def test_unreached_address_is_a_finding_unless_unrouted():
    silent = Handshake(address="b:443", problem=REFUSED)
    no_route = replace(silent, no_route=True)

    (finding,) = unreached(expected(), answer(GOOD, silent, no_route))
    assert ("api.test:443 at b:443", REFUSED.text) == (finding.subject, finding.observed)
    facts = {"address": "b:443", "client_options": "-servername api.test", "name": "api.test"}
    assert facts == finding.facts
    assert unknown(expected(), answer(GOOD, silent)) is None
    assert "set `addresses: ipv4`" in unknown(expected(), answer(GOOD, no_route)).advice


def test_an_accepted_old_version_is_named():
    assert ["accepts TLSv1"] == told(replace(GOOD, older=LegacyOffer(accepted=Protocol.TLSV1)))
