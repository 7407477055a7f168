"""A LIST: selecting, paging, and the shapes a list can have."""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

import msgspec

from opscheck.demo.kubernetes import statuses
from opscheck.demo.kubernetes.resources import Resource
from opscheck.demo.kubernetes.selectors import BadSelector, field_selector, label_selector
from opscheck.demo.kubernetes.world import Object, World
from opscheck.demo.serving import Request, Response

# The resource version of a token that came with a 410: continue, although objects may have changed in between.
INCONSISTENT = -1


@dataclass(frozen=True)
class Place:
    """The position in a list that a continue token encodes."""

    resource_version: int
    after: tuple[str, str]

    def token(self) -> str:
        """The opaque form."""
        start = "/".join(self.after)
        hidden = {"v": "meta.k8s.io/v1", "rv": self.resource_version, "start": f"{start}\0"}
        return base64.urlsafe_b64encode(json.dumps(hidden).encode()).decode().rstrip("=")

    @classmethod
    def read(cls, token: str) -> "Place":
        """The position in a token. Raises ValueError for an invalid token."""
        try:
            hidden = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
            namespace, _, name = hidden["start"].rstrip("\0").rpartition("/")
            return cls(hidden["rv"], (namespace, name))
        except (binascii.Error, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"invalid continue token: continue key is not valid: {error}") from error


def answer_list(world: World, resource: Resource, namespace: str | None, request: Request) -> Response:
    """Answer a LIST of one kind in one namespace, or (None) in all."""
    query = request.query
    try:
        keep_label = label_selector(query.get("labelSelector", ""))
        keep_field = field_selector(query.get("fieldSelector", ""), resource.kind)
        place = Place.read(query["continue"]) if query.get("continue") else None
        limit = _number(query.get("limit") or "0")
    except (BadSelector, ValueError) as error:
        return statuses.bad_request(str(error))
    with world.lock:
        found = [item for item in world.select(resource, namespace) if keep_label(item) and keep_field(item)]
        version = world.resource_version
        if place is not None:
            found = [item for item in found if _key(item) > place.after]
            version = max(place.resource_version, 0) or version
        if query.get("resourceVersion") == "0":
            limit = 0  # a list from the watch cache ignores the limit
        selective = bool(query.get("labelSelector") or query.get("fieldSelector"))
        shown = found[:limit] if limit else found
        listed = _list_metadata(version, shown, len(found) - len(shown), selective=selective)
        return Response(body=_encode(resource, shown, listed, request))


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax') from error


def _list_metadata(version: int, shown: list[Object], left: int, *, selective: bool) -> dict[str, Any]:
    listed: dict[str, Any] = {"resourceVersion": str(version)}
    if left:
        listed["continue"] = Place(version, _key(shown[-1])).token()
        if not selective:  # with a selector the server does not know how many are left
            listed["remainingItemCount"] = left
    return listed


def _encode(resource: Resource, items: list[Object], listed: dict[str, Any], request: Request) -> bytes:
    kind, version = f"{resource.kind}List", resource.api_version
    if "as=PartialObjectMetadataList" in request.headers.get("accept", ""):
        kind, version = "PartialObjectMetadataList", "meta.k8s.io/v1"
        items = [_metadata_only(item) for item in items]
    elif not resource.custom:
        # Items of a built-in kind come without kind and apiVersion: the list has both.
        items = [{k: v for k, v in item.items() if k not in {"kind", "apiVersion"}} for item in items]
    return msgspec.json.encode({"kind": kind, "apiVersion": version, "metadata": listed, "items": items})


def _metadata_only(item: Object) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": item["metadata"]}


def _key(item: Object) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]
