"""Whether a server serves the newest of the certificates that lie in files."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from opscheck.core.observation import Problem, ProblemKind
from opscheck.core.units import format_duration
from opscheck.core.words import some
from opscheck.systems.tls.expectations.files import TlsFiles
from opscheck.systems.tls.expectations.looking import facts_to_look
from opscheck.systems.tls.queries.certificates import Certificate
from opscheck.systems.tls.queries.handshake import Handshake, Handshakes
from opscheck.systems.tls.readings.files import Kept, Trouble
from opscheck.systems.tls.readings.lifetimes import called, lifetime_of, lifetime_told, moment, severity_of

_SHOWN = 3
_PAIR = timedelta(days=7)
_NO_IPV6 = "where this machine has no IPv6, say `addresses: ipv4`"


def stale(
    expectation: TlsFiles, kept: Iterable[Kept], served: Handshakes, now: datetime, *, all_seen: bool
) -> Iterator[Trouble]:
    """
    What is served, and is not the newest that is kept; once for all addresses that serve the same.

    `all_seen`: whether all files could be read. If not, one that could not may hold what is served.
    """
    there, places = list(kept), dict[str, list[Handshake]]()
    for one in served.addresses:
        if one.leaf is not None:
            places.setdefault(one.leaf.fingerprint, []).append(one)
    for alike in places.values():
        trouble = _stale(expectation, there, alike, now)
        if trouble is not None and (all_seen or "newest" in trouble.facts):
            yield trouble


def _stale(expectation: TlsFiles, kept: list[Kept], alike: list[Handshake], now: datetime) -> Trouble | None:
    leaf = alike[0].leaf
    assert leaf is not None  # noqa: S101 - for the type checker: only such were chosen
    place, same = ", ".join(one.address for one in alike), for_the_same_names(kept, leaf)
    if not same:
        told, held = f"{_told(leaf, now)}; no file has one for its names", _names_of(kept)
        return _another(expectation, place, told, (held,))
    newest = max(same, key=lambda one: one.head.not_before)
    if _is_newest(leaf, newest.head, same):
        return None
    if leaf.not_before > newest.head.not_before:
        told = f"{_told(leaf, now)}; it is newer than {newest.file.path}, which would be served after a restart"
        return _another(expectation, place, told, newest.evidence)
    return None if _may_be_loaded_yet(expectation, newest, now) else _older(expectation, place, leaf, newest, now)


def _another(expectation: TlsFiles, place: str, told: str, evidence: tuple[str, ...]) -> Trouble:
    wanted, facts = "the newest of the files", _facts(expectation)
    return Trouble(place, told, wanted, expectation.stale, evidence=evidence, facts=facts)


def for_the_same_names(kept: list[Kept], leaf: Certificate) -> list[Kept]:
    """Those for exactly the names of `leaf`; where there is none, those that share one."""
    names = set(leaf.names) or {leaf.subject}
    exactly = [one for one in kept if (set(one.head.names) or {one.head.subject}) == names]
    return exactly or [one for one in kept if set(one.head.names) & names]


def _is_newest(leaf: Certificate, newest: Certificate, same: list[Kept]) -> bool:
    if any(one.head.fingerprint == leaf.fingerprint and one.head.not_before == newest.not_before for one in same):
        return True
    # A pair with keys of two kinds, of which each client gets one, is renewed together.
    apart = newest.not_before - leaf.not_before
    of_its_kind = max(
        (one.head for one in same if one.head.key == leaf.key), key=lambda one: one.not_before, default=None
    )
    own = of_its_kind is not None and of_its_kind.fingerprint == leaf.fingerprint
    return own and newest.key != leaf.key and timedelta() <= apart <= min(_PAIR, newest.lifetime / 4)


def _may_be_loaded_yet(expectation: TlsFiles, newest: Kept, now: datetime) -> bool:
    # What is written anew again and again, and is in it for long, was never loaded.
    written = newest.file.modified
    young = now - newest.head.not_before <= newest.head.lifetime / 4
    return young and written is not None and abs((now - written).total_seconds()) <= expectation.reload_within


def _older(expectation: TlsFiles, place: str, leaf: Certificate, newest: Kept, now: datetime) -> Trouble:
    written = newest.file.modified if newest.file.modified and newest.file.modified <= now else None
    ago = f", which was written {format_duration((now - written).total_seconds())} ago" if written else ""
    short = severity_of(expectation, lifetime_of(leaf), now)
    return Trouble(
        place,
        f"{_told(leaf, now)}; it is older than the one in {newest.file.path}{ago}",
        f"the newest, within {expectation.reload_within}",
        min(short or expectation.stale, expectation.stale),
        written,
        (
            f"served: issued {moment(leaf.not_before)}, serial {leaf.serial}",
            f"newest: issued {moment(newest.head.not_before)}, serial {newest.head.serial}",
        ),
        {**_facts(expectation), "newest": newest.file.path},
    )


def _names_of(kept: list[Kept]) -> str:
    return f"the files are for {some(sorted({called(one.head) for one in kept}), _SHOWN) or 'nothing'}"


def _told(leaf: Certificate, now: datetime) -> str:
    return f"serves a certificate that {lifetime_told(lifetime_of(leaf), now)}"


def _facts(expectation: TlsFiles) -> dict[str, str]:
    if expectation.served_at is None:
        return {}
    place = expectation.served_at.address
    return {"serving": place} | facts_to_look(place, expectation.asked_name, expectation.starttls)


def unserved(served: Handshakes) -> Problem | None:
    """The first address of which nothing could be seen; None where all serve something."""
    for one in served.addresses:
        if one.leaf is not None:
            continue
        if one.problem is not None:
            advice = _NO_IPV6 if one.no_route else one.problem.advice
            return Problem(kind=one.problem.kind, text=one.problem.text, advice=advice)
        text = f"{one.address} serves no certificate: {one.failure}"
        return Problem(kind=ProblemKind.UNREADABLE, text=text, advice=one.advice)
    return None
