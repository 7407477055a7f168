"""LIST in pages: only the needed fields are decoded, page by page, and equal values are kept once."""

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.probe.client import Client, Deadline, Request
from opscheck.systems.kubernetes.probe.errors import ListMetadata, status_of
from opscheck.systems.kubernetes.probe.interning import Interner

PAGE = 500
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_OK, _GONE = 200, 410
_RESTARTS = 1
_SHOWN = 40
_SHORT = 2000
"""Shorter lists are not interned: that takes a tenth of the decoding time."""

_LOOKING_INTO_TYPES = threading.Lock()
T = TypeVar("T")


class _Page(msgspec.Struct, Generic[T], frozen=True):
    # Both are required: any other JSON must not pass for an empty list.
    kind: str
    items: tuple[T, ...] | None
    metadata: ListMetadata | None = None


def list_items(
    client: Client, query: ListObjects[Any], deadline: Deadline, *, item: type[T] | None = None
) -> tuple[T, ...]:
    """
    Every object of `query`, decoded into its own struct, or into `item` where that is given. Raises ProbeError.

    A namespace that does not exist has no objects: an API server does not distinguish the two.
    """
    decode = _decoder(item or query.item)
    items, token, restarts, interner = list[T](), "", 0, Interner()
    while True:
        request = _page(query, token)
        reply = client.reply(request, deadline)
        if reply.status == _GONE and token:
            # The pages are older than etcd's last compaction. The server may offer to continue with the current state.
            token = _following(status_of(reply).metadata)
            if not token:
                restarts, items = restarts + 1, []
            if restarts > _RESTARTS:
                raise _unreadable(request, "the list expired repeatedly while it was read", "raise the timeout")
            continue
        if reply.status != _OK:
            raise client.refusal(request, reply)
        page = _decoded(decode, reply.body, request, cut=reply.cut)
        following = _following(page.metadata)
        if len(items) >= _SHORT:
            interner.intern(page.items or ())
        items += page.items or ()
        if not following:
            return tuple(items)
        if following == token:
            raise _unreadable(request, "the server repeats the same page of the list", "")
        token = following


def _decoder(item: type[T]) -> Callable[[bytes], _Page[T]]:
    # msgspec inspects a type on first use, and runs Python meanwhile. A second thread that uses the same type, or a
    # part of it, then decodes with incomplete data, which ends the process (a segmentation fault).
    with _LOOKING_INTO_TYPES:
        return msgspec.json.Decoder(_Page[item]).decode  # type: ignore[valid-type]  # the type is a value here


def _following(metadata: ListMetadata | None) -> str:
    return (metadata and metadata.continue_) or ""


def _page(query: ListObjects[Any], token: str) -> Request:
    group = f"/apis/{query.group}" if query.group else "/api"
    namespace = f"/namespaces/{query.namespace}" if query.namespace else ""
    given = {"fieldSelector": query.field_selector, "continue": token}
    parameters = {"limit": PAGE} | {name: value for name, value in given.items() if value}
    accept = _METADATA if query.only_metadata else None
    return Request(f"{group}/{query.version}{namespace}/{query.plural}", query.rule, parameters, accept=accept)


def _decoded(decode: Callable[[bytes], Any], body: bytes, request: Request, *, cut: bool) -> Any:
    if cut:
        raise _unreadable(request, "the answer is too large", "select fewer namespaces")
    try:
        page = decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        start = body[:_SHOWN].decode("utf-8", "replace").split("\n")[0]
        text = f"it is not a list of objects ({error}); it starts with {start!r}"
        advice = "check whether the kubeconfig's `server` points to a proxy's sign-in page"
        raise _unreadable(request, text, advice) from error
    if not page.kind.endswith("List"):
        raise _unreadable(request, f"it is a {page.kind!r}, not a list", "")
    return page


def _unreadable(request: Request, text: str, advice: str) -> ProbeError:
    return ProbeError(ProblemKind.UNREADABLE, f"the answer to {request.text} cannot be read: {text}", advice)
