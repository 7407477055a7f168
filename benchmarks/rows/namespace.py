"""Fifty expectations on one namespace: the number of requests to the API server."""

from collections.abc import Iterable

from measure import Took
from servers import Server, serving
from table import Line, ratio
from workspace import Entry, Workspace, workspace

_AIM = 27
_APPLICATIONS = ("api", "worker", "web")
_PODS, _USAGE, _LOGS = 30, 16, 4


def requests(_runs: int) -> Iterable[Line]:
    """Requests in the server's log, compared with the official client in one plain pytest test each."""
    with workspace() as place:
        kubeconfig = place.folder / "kubeconfig"
        with serving("namespace", str(kubeconfig)) as api:
            ours = _taken(api, _opscheck(place, str(kubeconfig)))
            theirs = _taken(api, _each(place, str(kubeconfig)))
    yield Line(
        what=f"{_PODS + _USAGE + _LOGS} expectations on one namespace ({_PODS} pods, {_USAGE} usage, {_LOGS} logs of "
        "4 pods each), API requests",
        opscheck=f"{len(ours)}",
        others=(f"pytest with the official client: {len(theirs)}",),
        ratios=(ratio(len(ours), len(theirs)),),
        aim=f"≤ {_AIM} requests",
        met=len(ours) <= _AIM,
    )


def _taken(api: Server, _took: Took) -> list[str]:
    """The requests since the last call. `_took` is an argument so that it is evaluated first."""
    taken: list[str] = api.ask("requests")
    return taken


def _opscheck(place: Workspace, kubeconfig: str) -> Took:
    target = {"kind": "kubernetes", "namespace": "shop", "kubeconfig": kubeconfig}
    expectations = [*_pod_entries(), *_usage_entries(), *_log_entries()]
    policy = place.policy("namespace", {"cluster": target}, expectations)
    return place.opscheck(policy, counts={"declared": len(expectations), "passed": len(expectations)})


def _pod_entries() -> list[Entry]:
    return [
        _entry("pods", number) | {"selector": _selector(number), "min_matches": number % 4 + 1, "severity": "P1"}
        for number in range(_PODS)
    ]


def _usage_entries() -> list[Entry]:
    pods = [
        _entry("usage", number) | {"of": "pods", "selector": _selector(number), "memory": {"P2": f"{80 + number}%"}}
        for number in range(_USAGE // 2)
    ]
    nodes = [
        _entry("usage", number) | {"of": "nodes", "cpu": {"P2": f"{80 + number % 16}%"}}
        for number in range(_USAGE // 2, _USAGE)
    ]
    return [*pods, *nodes]


def _log_entries() -> list[Entry]:
    words = ("error", "fatal", "timeout", "refused")
    return [
        _entry("logs", number)
        | {"selector": _selector(0), "pattern": words[number], "window": "1h", "lines": {"P2": 0}}
        for number in range(_LOGS)
    ]


def _entry(concern: str, number: int) -> dict[str, object]:
    return {"id": f"{concern}-{number}", "check": f"kubernetes.{concern}", "target": "cluster"}


def _selector(number: int) -> str:
    return f"app={_APPLICATIONS[number % len(_APPLICATIONS)]}"


def _each(place: Workspace, kubeconfig: str) -> Took:
    return place.pytest(
        "namespace_each.py",
        says=f"{_PODS + _USAGE + _LOGS} passed",
        kubeconfig=kubeconfig,
        mix=f"{_PODS},{_USAGE},{_LOGS}",
    )
