"""The endpoints that ingresses promise, for a first policy: answers and certificates of their hosts."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic_core import PydanticCustomError

from opscheck.core.discovery import Discovery, DiscoveryInput, Look, ProposedTarget, not_read, slug
from opscheck.core.observation import CouldNotObserve
from opscheck.systems.http import discovery as http
from opscheck.systems.kubernetes.ingresses import Ingress
from opscheck.systems.tls import discovery as tls
from opscheck.systems.tls.handshake import ShakeHands
from opscheck.systems.tls.target import Endpoint

_PLAIN_PATH = re.compile(r"/[A-Za-z0-9/._~-]*")


@dataclass(frozen=True)
class Host:
    """One host of an ingress."""

    name: str
    ingress: str
    path: str
    """The shortest path that it routes; `/` where that is a pattern."""
    is_encrypted: bool

    @property
    def url(self) -> str:
        """The base URL."""
        return f"{'https' if self.is_encrypted else 'http'}://{self.name}"

    @property
    def authority(self) -> str:
        """Host and port."""
        return f"{self.name}:{443 if self.is_encrypted else 80}"


def hosts_of(ingresses: Iterable[Ingress]) -> tuple[Host, ...]:
    """Each host once, by its name; patterns such as `*.example.com` are left out."""
    found: dict[str, Host] = {}
    for ingress in sorted(ingresses, key=lambda one: one.name):
        for host in _hosts(ingress):
            known = found.get(host.name)
            if known is None or (host.is_encrypted, -len(host.path)) > (known.is_encrypted, -len(known.path)):
                found[host.name] = host
    return tuple(found[name] for name in sorted(found))


def patterns_of(ingresses: Iterable[Ingress]) -> tuple[str, ...]:
    """The hosts that stand for many names, such as `*.example.com`."""
    rules = (rule for one in ingresses for rule in (one.spec and one.spec.rules) or ())
    return tuple(sorted({rule.host for rule in rules if rule.host and "*" in rule.host}))


def _hosts(ingress: Ingress) -> Iterator[Host]:
    spec = ingress.spec
    encrypted = {host for one in (spec and spec.tls) or () for host in one.hosts or ()}
    for rule in (spec and spec.rules) or ():
        host = (rule.host or "").lower()
        if host and "*" not in host:
            paths = [path.path for path in (rule.http and rule.http.paths) or () if path.path]
            plain = [path for path in paths if _PLAIN_PATH.fullmatch(path)]
            covered = {host, f"*.{host.partition('.')[2]}"} & encrypted
            yield Host(host, ingress.name, min(plain, key=lambda path: (len(path), path), default="/"), bool(covered))


def propose(hosts: Iterable[Host], namespace: str, look: Look, given: DiscoveryInput) -> Discovery:
    """Propose `http.response` for each host, and `tls.certificate` where it is encrypted."""
    return Discovery.together(_of_host(one, namespace, look, given) for one in hosts)


def _of_host(host: Host, namespace: str, look: Look, given: DiscoveryInput) -> Discovery:
    name = slug(host.name)
    try:
        endpoint = Endpoint.parse(host.authority)
    except PydanticCustomError:
        return Discovery(not_seen=(f"{name}: not proposed: {host.name} is not a host name",))
    query = ShakeHands(endpoint.name)
    try:
        look(endpoint, (query,))(query)
    except CouldNotObserve as error:
        # A name that only resolves elsewhere, as inside a VPN, would be a violation of every run here.
        return Discovery(not_seen=(not_read(name, f"ingress {host.ingress}: host {host.name}", error),))
    seen = f"Ingress {host.ingress} of namespace {namespace}."
    target = ProposedTarget(id=name, fields={"kind": "http", "base_url": host.url}, seen=seen)
    found = [http.propose(target, look, host.path)]
    if host.is_encrypted:
        found.append(tls.propose(name, host.authority, endpoint, look, given))
    return Discovery.together(found)
