"""LIST in pages: only the needed fields are decoded, page by page, and nothing else of a page is kept."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from opscheck.probes.kubernetes.client import Ask, Client, Deadline
from opscheck.probes.kubernetes.refusals import refusal, status_of
from opscheck.queries.kubernetes import KubernetesRule
from opscheck.queries.observation import ProbeError, ProblemKind

PAGE = 500

_OK, _GONE = 200, 410
_RESTARTS = 1
_SHOWN = 40

T = TypeVar("T")


class _ListMetadata(msgspec.Struct, frozen=True):
    continue_: str | None = msgspec.field(name="continue", default=None)


class _Page(msgspec.Struct, Generic[T], frozen=True):
    # Both must be there: anything else that is JSON must not pass for an empty list.
    kind: str
    items: tuple[T, ...] | None
    metadata: _ListMetadata | None = None


def list_items(client: Client, rule: KubernetesRule, version: str, item: type[T], deadline: Deadline) -> tuple[T, ...]:
    """
    Every object of a kind in `rule.namespace`, None being all of them.

    A namespace that does not exist has no objects; an API server does not tell the two apart. Raises ProbeError.
    """
    decode = msgspec.json.Decoder(_Page[item]).decode  # type: ignore[valid-type]  # the type is a value here
    path, items, token, restarts = _path(rule, version), list[T](), "", 0
    while True:
        parameters: dict[str, str | int] = {"limit": PAGE} | ({"continue": token} if token else {})
        ask = Ask(path, rule, parameters)
        reply = client.reply(ask, deadline)
        if reply.status == _GONE and token:
            # The pages are older than etcd's last compaction. The server offers to go on with what is there now.
            token = status_of(reply).continue_token or ""
            if not token:
                restarts, items = restarts + 1, []
            if restarts > _RESTARTS:
                raise _unreadable(ask, "the list expired again and again while it was read", "raise the timeout")
            continue
        if reply.status != _OK:
            raise refusal(ask, reply, client.access, client.place)
        page = _decoded(decode, reply.body, ask, cut=reply.cut)
        items += page.items or ()
        following = (page.metadata and page.metadata.continue_) or ""
        if not following:
            return tuple(items)
        if following == token:
            raise _unreadable(ask, "the server continues the list at the same place for ever", "")
        token = following


def _path(rule: KubernetesRule, version: str) -> str:
    group = f"/apis/{rule.api_group}" if rule.api_group else "/api"
    namespace = f"/namespaces/{rule.namespace}" if rule.namespace else ""
    return f"{group}/{version}{namespace}/{rule.resource}"


def _decoded(decode: Callable[[bytes], Any], body: bytes, ask: Ask, *, cut: bool) -> Any:
    if cut:
        raise _unreadable(ask, "the answer is too large", "look at fewer objects")
    try:
        page = decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        start = body[:_SHOWN].decode("utf-8", "replace").split("\n")[0]
        text = f"it is no list of objects ({error}); it starts with {start!r}"
        raise _unreadable(ask, text, "does the kubeconfig's `server` lead to a proxy's sign-in page?") from error
    if not page.kind.endswith("List"):
        raise _unreadable(ask, f"it is a {page.kind!r} and no list", "")
    return page


def _unreadable(ask: Ask, text: str, advice: str) -> ProbeError:
    return ProbeError(ProblemKind.UNREADABLE, f"the answer to {ask.text} cannot be read: {text}", advice)
