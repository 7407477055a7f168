"""How a person looks at what an endpoint serves: one command for each way to reach it."""

from collections.abc import Mapping
from ipaddress import ip_address

from opscheck.systems.tls.queries.handshake import StartTls

# One name for each way: a command that names another one is left out.
WAYS: Mapping[str, str] = {
    "connect": "where to look, as host:port or address:port, where TLS begins with the first byte",
    "connect_nameless": "the same, where an address is asked for and not a name",
    "connect_starttls": "the same as `connect`, where TLS begins as `starttls` says",
    "connect_starttls_nameless": "the same as `connect_nameless`, where TLS begins as `starttls` says",
}
SNI: Mapping[str, str] = {"sni": "the name that is asked for, where it is one"}

# Without -noservername openssl would ask for the host that it connects to.
_OPTIONS: Mapping[str, str] = {
    "connect": "-servername {{ sni }}",
    "connect_nameless": "-noservername",
    "connect_starttls": "-starttls {{ starttls }} -servername {{ sni }}",
    "connect_starttls_nameless": "-starttls {{ starttls }} -noservername",
}


def commands_to_look(then: str) -> tuple[str, ...]:
    """For each way the command, with `then` behind it; a finding has the facts of one of them."""
    return tuple(
        f"openssl s_client -connect {{{{ {way} }}}} {options} </dev/null {then}" for way, options in _OPTIONS.items()
    )


def way_to_look(asked_name: str, starttls: StartTls | None) -> str:
    """Which fact names the place to look at."""
    return f"connect{'_starttls' if starttls else ''}{'_nameless' if is_address(asked_name) else ''}"


def other_ways(asked_name: str, starttls: StartTls | None) -> frozenset[str]:
    """The facts of all others."""
    return frozenset({*WAYS, *SNI}) - set(facts_to_look("", asked_name, starttls))


def facts_to_look(place: str, asked_name: str, starttls: StartTls | None) -> dict[str, str]:
    """What the command is told: the place, and the name to ask for."""
    named = {} if is_address(asked_name) else {"sni": asked_name}
    return {way_to_look(asked_name, starttls): place} | named


def is_address(host: str) -> bool:
    """True for an IP address, which is sent as no SNI and stands in certificates as an address."""
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
