"""Sessions with TLS endpoints: all addresses are queried concurrently."""

import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.query import Query
from opscheck.core.units import format_duration
from opscheck.systems.tls.handshake import Addresses, Handshake, Handshakes, LegacyOffer, ShakeHands
from opscheck.systems.tls.probe.handshake import Peer
from opscheck.systems.tls.target import Endpoint
from opscheck.transport.concurrency import completed
from opscheck.transport.connect import GRACE_S, Address, dial_first, late, resolved, unreachable

# Shares of the time limit: for handshakes, and for all results, before the engine cancels the query.
_HANDSHAKE_SHARE, _RESULT_SHARE = 0.9, 0.98
# More than the addresses of a name: one that waits for a thread would look silent.
_THREADS = 32
_FAMILIES = {
    Addresses.ALL: {socket.AF_INET, socket.AF_INET6},
    Addresses.IPV4: {socket.AF_INET},
    Addresses.IPV6: {socket.AF_INET6},
}


def open_session(target: Endpoint, timeout_s: float) -> "TlsSession":
    """Resolve the addresses, and connect to one of them. Raises ProbeError without a connection."""
    started = time.monotonic()
    try:
        addresses = resolved(target.host.rstrip("."), target.port)
        dial_first(addresses, started + timeout_s + GRACE_S).close()
    except TimeoutError as error:
        waited = time.monotonic() - started
        text = f"no connection to {target.address} in {format_duration(waited)}"
        raise late(text, waited, target_down=True) from error
    except OSError as error:
        raise unreachable(error, target.address) from error
    except UnicodeError as error:
        text = f"{target.host} is not a host name"
        raise ProbeError(ProblemKind.UNREACHABLE, text, "check its spelling", target_down=True) from error
    return TlsSession(target, addresses)


class TlsSession:
    """The addresses of one endpoint."""

    def __init__(self, target: Endpoint, addresses: Sequence[Address]) -> None:
        self._target = target
        self._addresses = addresses

    def ask(self, query: Query[Any], timeout_s: float) -> Handshakes:
        """Handshakes with every address. Raises ProbeError when all are unreachable."""
        if not isinstance(query, ShakeHands):
            raise ProbeError(ProblemKind.UNSUPPORTED, f"the TLS probe does not answer {query.name}")
        started = time.monotonic()
        peers = self._peers(query)
        found = _look(peers, started, timeout_s)
        if all(one.problem is not None for one in found):
            raise _raised(found)
        return Handshakes(server_name=peers[0].server_name, addresses=tuple(found))

    def close(self) -> None:
        """No connection stays open."""

    def _peers(self, query: ShakeHands) -> list[Peer]:
        name = query.server_name or self._target.host.partition("%")[0].rstrip(".")
        wanted = [one for one in self._addresses if one.family in _FAMILIES[query.addresses]]
        if not wanted:
            text = f"{self._target.host} has no {query.addresses} address"
            raise ProbeError(ProblemKind.ABSENT, text, "change `addresses`, or add a DNS record")
        return [Peer(address, name.encode("idna").decode(), query) for address in wanted]


def _look(peers: Sequence[Peer], started: float, timeout_s: float) -> list[Handshake]:
    deadline = started + timeout_s * _HANDSHAKE_SHARE
    jobs: list[Callable[[], Handshake | LegacyOffer]] = [partial(peer.look, deadline) for peer in peers]
    jobs += [partial(peer.offer_legacy, deadline) for peer in peers]
    results: dict[int, Any] = {}
    for number, result in completed(jobs, started + timeout_s * _RESULT_SHARE, _THREADS):
        if isinstance(result, BaseException):
            raise result
        results[number] = result
    waited = time.monotonic() - started
    no_offer = LegacyOffer(unknown=f"no answer to an offer of an older version in {format_duration(waited)}")
    return [
        replace(results.get(number) or _silent(peer, waited), older=results.get(number + len(peers), no_offer))
        for number, peer in enumerate(peers)
    ]


def _silent(peer: Peer, waited: float) -> Handshake:
    text = f"no answer from {peer.address} in {format_duration(waited)}"
    return Handshake(address=str(peer.address), problem=late(text, waited).problem)


def _raised(found: Sequence[Handshake]) -> ProbeError:
    """The first problem of an address as the endpoint's error; a problem of this machine comes last."""
    problem = next(one.problem for one in sorted(found, key=lambda one: one.no_route) if one.problem is not None)
    error = ProbeError(problem.kind, problem.text)
    error.problem = replace(problem, target_down=True)
    return error
