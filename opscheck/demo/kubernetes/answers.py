"""The API server's answers: authentication, the object of the request, authorisation, and the response."""

import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from opscheck.demo.kubernetes import statuses
from opscheck.demo.kubernetes.access import Attempt, Identity, Rule, impersonated
from opscheck.demo.kubernetes.lists import answer_list
from opscheck.demo.kubernetes.logs import answer_log
from opscheck.demo.kubernetes.objects import timestamp
from opscheck.demo.kubernetes.resources import SELF_SUBJECT_REVIEW, Resource
from opscheck.demo.kubernetes.storage import stats_summary
from opscheck.demo.kubernetes.world import World
from opscheck.demo.serving import Request, Response

# The real server compresses from 128 KiB on, at the fastest level.
COMPRESS_FROM = 128 * 1024
_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True)
class Target:
    """The parts of a path: `/apis/{group}/{version}/namespaces/{namespace}/{plural}/{name}/{part}`."""

    group: str
    version: str
    plural: str = ""
    namespace: str | None = None
    name: str | None = None
    part: str = ""

    @property
    def resource(self) -> str:
        """As RBAC names it: `pods/log` for a subresource."""
        return f"{self.plural}/{self.part}" if self.part else self.plural


def read_path(path: str) -> Target | None:
    """The target of a path below /api or /apis, or None."""
    match path.strip("/").split("/"):
        case ["api", version, *rest]:
            group = ""
        case ["apis", group, version, *rest]:
            pass
        case _:
            return None
    namespace = None
    if len(rest) > 2 and rest[0] == "namespaces":  # noqa: PLR2004 -- namespaces/NAME/plural
        namespace, rest = rest[1], rest[2:]
    plural, name, part = (*rest, "", "", "")[:3]
    return Target(group, version, plural, namespace, name or None, part)


def answer(world: World, request: Request, identities: Mapping[str, Identity]) -> Response:
    """The whole conversation. `identities` maps bearer tokens to who holds them."""
    caller = identities.get(request.token or "")
    if caller is None:
        return statuses.unauthorized()
    if name := request.headers.get("impersonate-user"):
        attempt = Attempt("impersonate", "users", name=name)
        if not caller.may(attempt):
            return statuses.forbidden(caller.username, attempt)
        known = {identity.username: identity for identity in identities.values()}
        caller = impersonated(name, request.headers, known)
    return _compressed(request, _authorised(world, request, caller))


def _authorised(world: World, request: Request, caller: Identity) -> Response:
    target = read_path(request.path)
    if target is None or not target.plural:
        if not _open_to_all(request.path) and Rule() not in caller.allowed:
            return statuses.forbidden_path(caller.username, _VERBS.get(request.method, "get"), request.path)
        return _about_the_server(world, request, target)
    if target.plural == SELF_SUBJECT_REVIEW.plural and request.method == "POST":
        return _who_am_i(caller)  # every caller may read its own identity
    verb = _verb(request, target)
    attempt = Attempt(verb, target.resource, target.group, target.namespace, target.name)
    if not caller.may(attempt):
        return statuses.forbidden(caller.username, attempt)
    return _about_objects(world, request, target)


def _open_to_all(path: str) -> bool:
    """True if the role system:discovery, which every caller has, allows reading it."""
    return path.strip("/").partition("/")[0] in {"api", "apis", "version", "healthz", "livez", "readyz", "openapi"}


def _verb(request: Request, target: Target) -> str:
    if request.method == "GET" and target.name is None:
        return "watch" if request.query.get("watch") in {"1", "true"} else "list"
    return _VERBS.get(request.method, request.method.lower())


def _about_objects(world: World, request: Request, target: Target) -> Response:
    resource = world.find(target.group, target.version, target.plural)
    if resource is None:
        served = any(found.group == target.group for found in world.resources)
        return statuses.unknown_resource() if served else statuses.unknown_path()
    if request.method != "GET" or (target.namespace is not None and not resource.namespaced):
        return statuses.method_not_allowed() if request.method != "GET" else statuses.unknown_resource()
    if target.name is None:
        return answer_list(world, resource, target.namespace, request)
    return _one_object(world, request, resource, target)


def _one_object(world: World, request: Request, resource: Resource, target: Target) -> Response:
    name = target.name or ""
    with world.lock:
        try:
            found = world.one(resource, name, target.namespace or "")
        except KeyError:
            return statuses.not_found(resource.plural, resource.group, name)
        if not target.part:
            return Response(body=msgspec.json.encode(found))
    if resource.kind == "Pod" and target.part == "log":
        return answer_log(world, found, request.query)
    if resource.kind == "Node" and request.path.endswith("/proxy/stats/summary"):
        return _json(stats_summary(world, name))
    return statuses.unknown_resource()


def _who_am_i(caller: Identity) -> Response:
    user: dict[str, Any] = {"username": caller.username, "groups": list(caller.groups)}
    if caller.uid:
        user["uid"] = caller.uid
    review = {
        "kind": SELF_SUBJECT_REVIEW.kind,
        "apiVersion": SELF_SUBJECT_REVIEW.api_version,
        "metadata": {"creationTimestamp": timestamp(datetime.now(UTC))},
        "status": {"userInfo": user},
    }
    return _json(review, status=201)


def _about_the_server(world: World, request: Request, target: Target | None) -> Response:
    if request.method != "GET":
        return statuses.method_not_allowed()
    match request.path.strip("/").split("/"):
        case ["version"]:
            return _json(_version(world.version))
        case ["healthz" | "livez" | "readyz"]:
            return Response(body=b"ok", content_type="text/plain; charset=utf-8")
    return _discovery(world, request.path, target)


def _discovery(world: World, path: str, target: Target | None) -> Response:
    served = (*world.resources, SELF_SUBJECT_REVIEW)
    match path.strip("/").split("/"):
        case ["api"]:
            return _json({"kind": "APIVersions", "versions": ["v1"]})
        case ["apis"]:
            groups = [_group(served, group) for group in sorted({found.group for found in served} - {""})]
            return _json({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        case ["apis", group] if any(found.group == group for found in served):
            return _json({"kind": "APIGroup", "apiVersion": "v1", **_group(served, group)})
    here = [found for found in served if target and (found.group, found.version) == (target.group, target.version)]
    if here:
        return _json(_resource_list(here))
    known = target is not None and any(found.group == target.group for found in served)
    return statuses.unknown_resource() if known else statuses.unknown_path()


def _version(version: str) -> dict[str, str]:
    major, minor = version.lstrip("v").split(".")[:2]
    emulated = {"emulationMajor": major, "emulationMinor": minor}
    compatible = {"minCompatibilityMajor": major, "minCompatibilityMinor": str(int(minor) - 1)}
    source = {"gitVersion": version, "gitCommit": "0" * 40, "gitTreeState": "clean"}
    built = {"buildDate": "2026-01-01T00:00:00Z", "goVersion": "go1.24.6", "compiler": "gc", "platform": "linux/amd64"}
    return {"major": major, "minor": minor, **emulated, **compatible, **source, **built}


def _group(served: Iterable[Resource], group: str) -> dict[str, Any]:
    versions = sorted({found.version for found in served if found.group == group})
    listed = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"name": group, "versions": listed, "preferredVersion": listed[0]}


def _resource_list(resources: list[Resource]) -> dict[str, Any]:
    listed = []
    for found in resources:
        verbs = ["create"] if found == SELF_SUBJECT_REVIEW else ["get", "list"]
        entry = {"name": found.plural, "singularName": found.kind.lower(), "namespaced": found.namespaced}
        listed.append(entry | {"kind": found.kind, "verbs": verbs})
        if found.kind == "Pod":
            listed.append(entry | {"name": "pods/log", "singularName": "", "kind": "Pod", "verbs": ["get"]})
    version = resources[0].api_version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": listed}


def _json(body: Mapping[str, Any], status: int = 200) -> Response:
    return Response(status, json.dumps(body).encode())


def _compressed(request: Request, response: Response) -> Response:
    wanted = "gzip" in request.headers.get("accept-encoding", "")
    if not wanted or len(response.body) < COMPRESS_FROM or response.chunked:
        return response
    headers = {**response.headers, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return replace(response, body=gzip.compress(response.body, compresslevel=1), headers=headers)
