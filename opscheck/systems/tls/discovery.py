"""A first policy for the certificates of endpoints."""

from collections.abc import Mapping

from pydantic_core import PydanticCustomError

from opscheck.core.discovery import Discovery, DiscoveryInput, Look, Proposal, Value, Variable, not_read, variables
from opscheck.core.observation import CouldNotObserve
from opscheck.core.units import Severity
from opscheck.systems.tls.handshake import Handshake, Handshakes, ShakeHands
from opscheck.systems.tls.lifetime import Lifetime
from opscheck.systems.tls.target import URL_PORTS, Endpoint


def discover(given: DiscoveryInput, look: Look) -> Discovery:
    """The certificates behind URLs such as an API_URL that begins with https://."""
    found = (one for one in variables(given.environment) if one.scheme in URL_PORTS)
    return Discovery.together(_of_variable(one, look, given) for one in found)


def _of_variable(variable: Variable, look: Look, given: DiscoveryInput) -> Discovery:
    try:
        endpoint = Endpoint.parse(variable.value)
    except PydanticCustomError:
        return Discovery(not_seen=(f"{variable.name}: no certificate proposed: invalid host or port",))
    return propose(variable.id, variable.reference, endpoint, look, given)


def propose(name: str, written: str, endpoint: Endpoint, look: Look, given: DiscoveryInput) -> Discovery:
    """
    Propose an expectation of the certificate of an endpoint.

    `written` is the endpoint as the policy has it, `host:port` or a reference, and `name` a slug for the id.
    """
    query = ShakeHands(endpoint.name)
    not_seen = []
    served: list[Handshake] = []
    addresses: Mapping[str, Value] = {}
    try:
        answer = look(endpoint, (query,))(query)
        addresses = _reached(answer)
        served = [one for one in answer.addresses if one.sent]
        if not served:
            why = (one.problem.text if one.problem else one.failure for one in answer.addresses)
            not_seen.append(f"{name}: certificate not read: {next(why, 'no address')}")
    except CouldNotObserve as error:
        not_seen.append(not_read(name, "certificate", error))
    proposal = Proposal(
        id=f"{name}-certificate",
        check="tls.certificate",
        selector={"endpoint": written},
        fields=addresses,
        severity=Severity.P1,
        reason=f"{_seen(served, given)}The default limits are shares of its lifetime: 25% left is P3, 12.5% is P1.",
    )
    return Discovery(proposals=(proposal,), not_seen=tuple(not_seen))


def _reached(answer: Handshakes) -> Mapping[str, Value]:
    """The family of addresses to judge, where this machine has no route to the other one."""
    reached = {_family(one) for one in answer.addresses if one.problem is None}
    without_route = {_family(one) for one in answer.addresses if one.no_route}
    return {"addresses": reached.pop()} if len(reached) == 1 and without_route - reached else {}


def _family(handshake: Handshake) -> str:
    return "ipv6" if handshake.address.startswith("[") else "ipv4"


def _seen(served: list[Handshake], given: DiscoveryInput) -> str:
    """When the first of its certificates ends; not for whom it is, which a variable may say."""
    if not served:
        return ""
    end = min(Lifetime.of_path(one.chain or one.sent).end for one in served)
    left = (end.date() - given.today).days
    return f"It ends on {end:%Y-%m-%d}, in {left} days. " if left >= 0 else f"It ended on {end:%Y-%m-%d}. "
