"""A first policy for HTTP endpoints."""

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

from opscheck.core.discovery import (
    Discovery,
    DiscoveryInput,
    Look,
    Proposal,
    ProposedTarget,
    Value,
    headroom,
    not_read,
    variables,
)
from opscheck.core.observation import CouldNotObserve, ProblemKind
from opscheck.core.published import published
from opscheck.core.units import Severity, format_duration
from opscheck.systems.http.request import HttpAnswer, HttpRequest

_SCHEMES = frozenset({"http", "https"})
_IMAGES = frozenset({"caddy", "haproxy", "httpd", "nginx", "nginx-unprivileged", "openresty", "traefik"})
_LATENCY_S = 1.0
_WITHOUT_LOGIN = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


def discover(given: DiscoveryInput, look: Look) -> Discovery:
    """The endpoints of variables such as API_URL, and the web servers of a compose file."""
    found = []
    for one in variables(given.environment):
        if one.scheme in _SCHEMES:
            seen = f"found in {one.name}"
            target = ProposedTarget(id=one.id, fields={"kind": "http", "base_url": one.reference}, seen=seen)
            found.append(propose(target, look, path=path_of(one.value)))
    services, unpublished = published(given, _IMAGES, (80, 8080), _SCHEMES)
    found += [propose(one.target("http", "base_url", f"http://{one.address}"), look) for one in services]
    return Discovery.together([*found, Discovery(not_seen=tuple(unpublished))])


def path_of(url: str) -> str:
    """The path below a base URL that requests this URL itself."""
    try:
        return "/" if urlsplit(url).path in {"", "/"} else ""
    except ValueError:
        return "/"


def propose(target: ProposedTarget, look: Look, path: str = "/") -> Discovery:
    """Propose expectations of one endpoint, by its answer to one request."""
    query = HttpRequest(target.id, path=path)
    try:
        answer = look(target, (query,))(query)
    except CouldNotObserve as error:
        sentence = not_read(target.id, "answer", error)
        if error.problem.kind is ProblemKind.UNSUPPORTED:  # such as a URL with a query: no expectation could pass
            return Discovery(not_seen=(sentence,))
        proposal = _proposal(target.id, path, None, "no answer; any 2xx status is right.")
        return Discovery(targets=(target,), proposals=(proposal,), not_seen=(sentence,))
    status = answer.status
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _WITHOUT_LOGIN:
        sentence = f"{target.id}: not proposed: it answers {status}; add http.response with the `path` of a health page"
        return Discovery(not_seen=(sentence,))
    return Discovery(targets=(target,), proposals=(_proposal(target.id, path, answer, _seen(status)),))


def _seen(status: int) -> str:
    if status in _WITHOUT_LOGIN:
        return f"it answers {status} without credentials; set the target's `headers` to judge more."
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return f"it answers {status}, a redirect."
    right = "" if status < HTTPStatus.MULTIPLE_CHOICES else "; any 2xx status is right"
    return f"it answers {status}{right}."


def _proposal(target: str, path: str, answer: HttpAnswer | None, seen: str) -> Proposal:
    took = answer.samples[0].seconds if answer else 0.0
    slow = headroom(took, _LATENCY_S)
    latency = {"P2": format_duration(slow), "P1": format_duration(5 * slow)}
    as_seen: Mapping[str, Value] = {}
    if answer and (HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.INTERNAL_SERVER_ERROR):
        as_seen = {"status": answer.status}
    sample = f" It took {format_duration(took)} (one sample: look again in a week)." if answer else ""
    return Proposal(
        id=f"{target}-response",
        check="http.response",
        target=target,
        fields={"path": path, **as_seen, "latency": latency},
        severity=Severity.P1,
        reason=f"GET: {seen}{sample}",
    )
