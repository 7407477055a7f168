"""`pods/{name}/log`: the log of a container, limited as requested."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from opscheck.demo.kubernetes import statuses
from opscheck.demo.kubernetes.world import LogLine, LogSource, Object, World
from opscheck.demo.serving import Response

_WAITS_WITHOUT_LOG = {
    "ImagePullBackOff": "trying and failing to pull image",
    "ErrImagePull": "image can't be pulled",
}
_RAN_BEFORE = frozenset({"CrashLoopBackOff"})


class _BadOption(ValueError):  # noqa: N818 -- the server calls it invalid, not an error
    """The name of an invalid parameter, and its error."""


def answer_log(world: World, pod: Object, query: Mapping[str, str]) -> Response:
    """The log of one container as text."""
    name, namespace = pod["metadata"]["name"], pod["metadata"].get("namespace", "")
    containers = [container["name"] for container in pod["spec"]["containers"]]
    container = query.get("container") or (containers[0] if len(containers) == 1 else "")
    previous = query.get("previous") == "true"
    if refusal := _refusal(pod, containers, container, previous=previous):
        return refusal
    with world.lock:
        lines = world.logged(LogSource(namespace, name, container, previous))
    try:
        text = _cut(lines, query)
    except _BadOption as error:
        return statuses.invalid("PodLogOptions", name, *error.args)
    if not pod["spec"].get("nodeName"):
        return Response(204, content_type="")  # no kubelet runs this pod
    return Response(body=text, content_type="text/plain", chunked=True)


def _refusal(pod: Object, containers: list[str], container: str, *, previous: bool) -> Response | None:
    name = pod["metadata"]["name"]
    init = [found["name"] for found in pod["spec"].get("initContainers", ())]
    if not container:
        choice = f"a container name must be specified for pod {name}, choose one of: [{' '.join(containers)}]"
        also = f" or one of the init containers: [{' '.join(init)}]" if init else ""
        return statuses.bad_request(choice + also)
    if container not in containers + init:
        return statuses.bad_request(f"container {container} is not valid for pod {name}")
    status = _status_of(pod, container)
    if previous and not status.get("lastState", {}).get("terminated"):
        return statuses.bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
    waiting = status.get("state", {}).get("waiting", {}).get("reason")
    if waiting and waiting not in _RAN_BEFORE and not previous:
        why = _WAITS_WITHOUT_LOG.get(waiting, waiting)
        return statuses.bad_request(f'container "{container}" in pod "{name}" is waiting to start: {why}')
    return None


def _status_of(pod: Object, container: str) -> Object:
    status = pod["status"]
    known = [*status.get("containerStatuses", ()), *status.get("initContainerStatuses", ())]
    return next((found for found in known if found["name"] == container), {})


def _cut(lines: list[LogLine], query: Mapping[str, str]) -> bytes:
    since = _since(query)
    kept = [line for line in lines if since is None or line.at >= since]
    if "tailLines" in query:
        count = _number(query, "tailLines", 0)
        kept = kept[-count:] if count else []
    stamped = query.get("timestamps") == "true"
    text = "".join(f"{_precise(line.at)} {line.text}\n" if stamped else f"{line.text}\n" for line in kept)
    limit = _number(query, "limitBytes", 1) if "limitBytes" in query else None
    return text.encode()[:limit]


def _since(query: Mapping[str, str]) -> datetime | None:
    if "sinceSeconds" in query and "sinceTime" in query:
        raise _BadOption("[]", "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified")
    if "sinceSeconds" in query:
        return datetime.now(UTC) - timedelta(seconds=_number(query, "sinceSeconds", 1))
    return datetime.fromisoformat(query["sinceTime"]) if "sinceTime" in query else None


def _number(query: Mapping[str, str], name: str, least: int) -> int:
    value = int(query[name])
    if value < least:
        bound = "greater than 0" if least else "greater than or equal to 0"
        raise _BadOption(name, f"Invalid value: {value}: must be {bound}")
    return value


def _precise(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
