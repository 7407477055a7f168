"""Services of a compose file that are reached on this machine, as systems recognise their own among them."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from opscheck.core.discovery import DiscoveryInput, ProposedTarget, Service, slug, variables

_TAG = re.compile(r"[:@].*", re.DOTALL)
_AUTHORITY = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#]*@)?\[?(?P<host>[^/?#@\]]+?)\]?(?::(?P<port>\d+))?(?:[/?#]|$)"
)
_HERE = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})  # noqa: S104 - compared with, never bound


@dataclass(frozen=True)
class Published:
    """A service with one of its ports."""

    service: Service
    port: int
    """On this machine."""
    variable: str
    """The variable that a policy reads its address from: `DB_URL` of the service db."""

    @property
    def id(self) -> str:
        """A slug of its name."""
        return slug(self.service.name)

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    def target(self, kind: str, key: str, address: str) -> ProposedTarget:
        """Its target: the field `key` is `address`, unless its variable is set."""
        seen = f"{self._seen} Set {self.variable} where it has a password, or another address."
        return ProposedTarget(id=self.id, fields={"kind": kind, key: f"${{{self.variable}:-{address}}}"}, seen=seen)

    def target_with_login(self, kind: str, key: str, example: str) -> ProposedTarget:
        """Its target: the field `key` is its variable, which must be set; `example` shows how."""
        seen = f"{self._seen} Set {self.variable}, such as {example}."
        return ProposedTarget(id=self.id, fields={"kind": kind, key: f"${{{self.variable}}}"}, seen=seen)

    @property
    def _seen(self) -> str:
        return f"Service {self.service.name} of the compose file ({self.service.image}), published on {self.address}."


def published(
    given: DiscoveryInput, images: Collection[str], ports: tuple[int, ...], schemes: Collection[str]
) -> tuple[list[Published], list[str]]:
    """
    The services with one of these images, each with the first of these ports that it publishes.

    Images are named without registry, account and tag. A service that a variable with one of these schemes leads to
    already is left out; one that publishes none of the ports is a sentence of the second list.
    """
    found: list[Published] = []
    unpublished: list[str] = []
    known = set(_addresses(given.environment, schemes, ports[0]))
    for service in sorted(given.services, key=lambda one: one.name):
        if _name(service.image) not in images:
            continue
        port = next((service.ports[one] for one in ports if one in service.ports), None)
        if port is None:
            wanted = " or ".join(map(str, ports))
            unpublished.append(f"{slug(service.name)}: not proposed: the compose file publishes no port for {wanted}")
        elif known.isdisjoint({*((host, port) for host in _HERE), *((service.name, one) for one in ports)}):
            found.append(Published(service, port, _variable(service, given.environment)))
    return found, unpublished


def _variable(service: Service, environment: Mapping[str, str]) -> str:
    name = f"{re.sub(r'[^A-Z0-9]+', '_', service.name.upper()).strip('_')}_URL"
    # One that is set leads elsewhere: else the service would have been left out.
    return f"COMPOSE_{name}" if name in environment else name


def _name(image: str) -> str:
    """`postgresql` of `docker.io/bitnami/postgresql:16`."""
    return _TAG.sub("", image.rpartition("/")[2])


def _addresses(environment: Mapping[str, str], schemes: Collection[str], port: int) -> Iterator[tuple[str, int]]:
    for variable in variables(environment):
        address = _AUTHORITY.match(variable.value) if variable.scheme in schemes else None
        if address:
            yield address["host"].lower(), int(address["port"] or port)
