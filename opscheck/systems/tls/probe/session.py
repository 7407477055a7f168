"""An endpoint for the length of a run: each of its addresses is asked, at the same time."""

import socket
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.query import Query
from opscheck.core.units import format_duration
from opscheck.systems.tls.probe.shaking import Door
from opscheck.systems.tls.probe.side_by_side import all_by
from opscheck.systems.tls.queries.handshake import Addresses, Handshake, Handshakes, Older, ShakeHands
from opscheck.systems.tls.target import Endpoint
from opscheck.transport.connect import GRACE_S, Address, dial_first, late, resolved, unreachable

# What is known of some addresses, and why nothing is known of others, is told before the question is given up.
_ASKING, _TELLING = 0.9, 0.98
_FAMILIES = {
    Addresses.ALL: {socket.AF_INET, socket.AF_INET6},
    Addresses.IPV4: {socket.AF_INET},
    Addresses.IPV6: {socket.AF_INET6},
}


def open_session(target: Endpoint, timeout_s: float) -> "TlsSession":
    """Find the addresses, and connect to one without a word. Raises ProbeError when none is there."""
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
        text = f"{target.host} is no host name"
        raise ProbeError(ProblemKind.UNREACHABLE, text, "check how it is spelled", target_down=True) from error
    return TlsSession(target, addresses)


class TlsSession:
    """The addresses of one endpoint."""

    def __init__(self, target: Endpoint, addresses: Sequence[Address]) -> None:
        self._target = target
        self._addresses = addresses

    def ask(self, query: Query[Any], timeout_s: float) -> Handshakes:
        """Shake hands with every address. Raises ProbeError when none of them can be reached."""
        if not isinstance(query, ShakeHands):
            raise ProbeError(ProblemKind.UNSUPPORTED, f"an endpoint cannot be asked {query.text()}")
        started = time.monotonic()
        doors = self._doors(query)
        found = _look(doors, started, timeout_s)
        if all(one.problem is not None for one in found):
            raise _raised(found)
        return Handshakes(server_name=doors[0].server_name, addresses=tuple(found))

    def close(self) -> None:
        """Nothing is kept open."""

    def _doors(self, query: ShakeHands) -> list[Door]:
        name = query.server_name or self._target.host.partition("%")[0].rstrip(".")
        wanted = [one for one in self._addresses if one.family in _FAMILIES[query.addresses]]
        if not wanted:
            text = f"{self._target.host} has no {query.addresses} address"
            raise ProbeError(ProblemKind.ABSENT, text, "say which it should have, in `addresses`")
        return [Door(address, name.encode("idna").decode(), query) for address in wanted]


def _look(doors: Sequence[Door], started: float, timeout_s: float) -> list[Handshake]:
    deadline = started + timeout_s * _ASKING
    jobs: list[Any] = [partial(door.look, deadline) for door in doors]
    jobs += [partial(door.offer_older, deadline) for door in doors]
    results = all_by(started + timeout_s * _TELLING, jobs)
    waited = time.monotonic() - started
    looked, offered = results[: len(doors)], results[len(doors) :]
    unasked = Older(unknown=f"no answer to an offer of an older version in {format_duration(waited)}")
    return [
        replace(one or _silent(door, waited), older=older or unasked)
        for door, one, older in zip(doors, looked, offered, strict=True)
    ]


def _silent(door: Door, waited: float) -> Handshake:
    text = f"no answer from {door.address} in {format_duration(waited)}"
    return Handshake(address=str(door.address), problem=late(text, waited).problem)


def _raised(found: Sequence[Handshake]) -> ProbeError:
    """The first of the addresses' problems as one of the endpoint, if there is any that is not this machine's own."""
    problem = next(one.problem for one in sorted(found, key=lambda one: one.no_route) if one.problem is not None)
    error = ProbeError(problem.kind, problem.text)
    error.problem = replace(problem, target_down=True)
    return error
