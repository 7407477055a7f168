"""Error answers of an API server as problems, with advice."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import msgspec

from opscheck.core.masking import mask_secrets
from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.kubernetes.probe.access import Access

if TYPE_CHECKING:
    from opscheck.systems.kubernetes.probe.client import Reply, Request


T = TypeVar("T")
METRICS = "metrics.k8s.io"
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TOO_MANY, _UNAVAILABLE = 401, 403, 404, 429, 503
_LONGEST = 300
_IF_ABSENT = "upgrade it, or install the CustomResourceDefinition; if its absence is intended, set `when_absent: skip`"


class _Details(msgspec.Struct, frozen=True, rename="camel"):
    retry_after_seconds: float | None = None


class ListMetadata(msgspec.Struct, frozen=True):
    """The token for the next page of a list."""

    continue_: str | None = msgspec.field(name="continue", default=None)


class Status(msgspec.Struct, frozen=True):
    """The `Status` object in an API server's refusal."""

    kind: str = ""
    message: str | None = None
    metadata: ListMetadata | None = None
    """The token for a list that expired."""
    details: _Details | None = None


_decode_status = msgspec.json.Decoder(Status).decode


def decoded(decode: Callable[[bytes], T], body: bytes) -> T | None:
    """The struct in `body`; None for any other content."""
    try:
        return decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def status_of(reply: "Reply") -> Status:
    """The `Status` in the body; empty without one, as from a proxy."""
    found = decoded(_decode_status, reply.body)
    return found if found and found.kind == "Status" else Status()


def message_of(reply: "Reply") -> str:
    """The server's message in one line, without secrets."""
    content_type = reply.headers.get("content-type", "")
    if "html" in content_type:
        return "an HTML page, as from a proxy"
    text = status_of(reply).message or reply.body[: 4 * _LONGEST].decode("utf-8", "replace")
    return mask_secrets(" ".join(text.split()))[:_LONGEST]


def retry_after(reply: "Reply") -> float | None:
    """The wait in seconds that the server requests; None without one."""
    header = reply.headers.get("retry-after", "")
    details = status_of(reply).details
    if header.isdigit():
        return float(header)
    if details and details.retry_after_seconds is not None:
        return max(0.0, details.retry_after_seconds)
    return 1.0 if reply.status == _TOO_MANY else None


def refusal(request: "Request", reply: "Reply", access: Access, place: str) -> ProbeError:
    """The problem behind an answer other than 200."""
    if reply.status == _UNAUTHORIZED:
        text = f"{place} rejects the client (401); it authenticated with {access.identity}"
        # Without authentication every query to this cluster fails alike: report it once.
        return ProbeError(ProblemKind.DENIED, text, access.advice, target_down=True)
    if reply.status == _FORBIDDEN:
        return _forbidden(request, reply, access)
    unserved = reply.status == _UNAVAILABLE or (reply.status == _NOT_FOUND and _is_the_servers_own(reply))
    if request.rule and request.rule.api_group == METRICS and unserved:
        return _no_metrics(reply)
    if reply.status == _NOT_FOUND:
        return _not_found(request, reply, place)
    if 300 <= reply.status < 400:  # noqa: PLR2004 - the redirects
        text = f"{place} redirects {request.text} to {reply.headers.get('location', 'nowhere').partition('?')[0]}"
        return ProbeError(ProblemKind.UNREADABLE, text, "the kubeconfig's `server` should be the API server itself")
    text = f"{place} answered {request.text} with {reply.status}: {message_of(reply) or 'no message'}"
    return ProbeError(ProblemKind.UNREADABLE, text, "check the API server's log and its load")


def _not_found(request: "Request", reply: "Reply", place: str) -> ProbeError:
    if _is_the_servers_own(reply):
        return ProbeError(ProblemKind.ABSENT, f"{place} does not serve {request.path} (404)", _IF_ABSENT)
    # `when_absent: skip` is for resources that a cluster does not serve; the 404 of a proxy must never count as that.
    answer = message_of(reply) or "no message"
    text = f"{place} answered {request.text} with 404, but not as an API server does: {answer}"
    return ProbeError(ProblemKind.UNREADABLE, text, "check whether the kubeconfig's `server` points to a proxy")


def _is_the_servers_own(reply: "Reply") -> bool:
    """True for the two forms of an API server's own 404."""
    return status_of(reply).kind == "Status" or reply.body.strip() == b"404 page not found"


def _forbidden(request: "Request", reply: "Reply", access: Access) -> ProbeError:
    said = message_of(reply) or "forbidden"
    if request.rule is None:
        return ProbeError(ProblemKind.DENIED, f"{request.text} is forbidden (403): {said}")
    rule = request.rule
    text = f"{access.identity} may not {rule.text()} (403): {said}"
    where = f"a Role in namespace {rule.namespace}" if rule.namespace else "a ClusterRole"
    as_written = f'{{apiGroups: ["{rule.api_group}"], resources: ["{rule.resource}"], verbs: ["{rule.verb}"]}}'
    advice = f"grant {as_written} with {where}; `opscheck permissions` prints the role"
    return ProbeError(ProblemKind.DENIED, text, advice)


def _no_metrics(reply: "Reply") -> ProbeError:
    if reply.status == _NOT_FOUND:
        advice = "install metrics-server, or set `when_absent: skip`"
        return ProbeError(ProblemKind.ABSENT, f"the cluster does not serve {METRICS} (404)", advice)
    text = f"the cluster's {METRICS} does not answer (503): {message_of(reply)}"
    advice = "check metrics-server: kubectl get apiservice v1beta1.metrics.k8s.io"
    return ProbeError(ProblemKind.UNSUPPORTED, text, advice)
