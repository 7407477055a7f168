"""Five thousand pods: gathered and judged, beside fetching the same bytes, and beside the official client's models."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from measure import Median, Took, medians
from servers import Server, serving
from table import Line, megabytes, seconds, times
from workspace import Workspace, workspace

_MANY, _FEW = 5000, 1
_BYTES_EACH = 7800
_AIM_RATIO, _AIM_BYTES = 1.5, 150_000_000


@dataclass(frozen=True)
class _Cluster:
    """A served cluster with so many pods."""

    api: Server
    kubeconfig: Path
    pods: int


@dataclass(frozen=True)
class _Cost:
    """What a process takes for all pods, and for one."""

    many: Median
    few: Median

    @property
    def of_pods(self) -> float:
        """Seconds for the pods alone: without starting the process, importing, and connecting."""
        return self.many.wall_s - self.few.wall_s

    def text(self) -> str:
        peak = megabytes(self.many.peak_bytes)
        return f"{seconds(self.of_pods)} for the pods, {seconds(self.many.wall_s)} whole process, {peak}"


def five_thousand(runs: int) -> Iterable[Line]:
    """The time for the pods is the difference to the same process on one pod."""
    with workspace() as place:
        many, few = place.folder / "many", place.folder / "few"
        with (
            serving("pods", str(_MANY), str(_BYTES_EACH), str(many)) as large,
            serving("pods", str(_FEW), str(_BYTES_EACH), str(few)) as small,
        ):
            clusters = (_Cluster(large, many, _MANY), _Cluster(small, few, _FEW))
            encoding = _encoding_asked_for(place, clusters[0])
            measured = medians(
                runs,
                *(lambda one=one: _opscheck(place, one) for one in clusters),
                *(lambda one=one: _fetch(place, one, encoding) for one in clusters),
                *(lambda one=one: _typed(place, one) for one in clusters),
            )
            total = int(large.place["bytes"])
    ours, fetching, typed = (_Cost(*measured[start : start + 2]) for start in (0, 2, 4))
    yield from _lines(ours, fetching, typed, f"{_MANY:,} pods ({megabytes(total)}, {encoding})")


def _lines(ours: _Cost, fetching: _Cost, typed: _Cost, what: str) -> Iterable[Line]:
    yield Line(
        what=f"{what} gathered and judged",
        opscheck=ours.text(),
        beside=(f"fetching alone (urllib3): {fetching.text()}", f"official typed client: {typed.text()}"),
        ratio=tuple(times(ours.of_pods / one.of_pods) + " the time for the pods" for one in (fetching, typed)),
        aim=f"≤ {_AIM_RATIO} x fetching",
        met=ours.of_pods <= _AIM_RATIO * fetching.of_pods,
    )
    yield Line(
        what=f"{what}, peak memory",
        opscheck=megabytes(ours.many.peak_bytes),
        beside=(
            f"fetching alone (urllib3): {megabytes(fetching.many.peak_bytes)}",
            f"official typed client: {megabytes(typed.many.peak_bytes)}",
        ),
        ratio=tuple(times(ours.many.peak_bytes / one.many.peak_bytes) for one in (fetching, typed)),
        aim=f"≤ {megabytes(_AIM_BYTES)}",
        met=ours.many.peak_bytes <= _AIM_BYTES,
    )


def _encoding_asked_for(place: Workspace, cluster: _Cluster) -> str:
    """`gzip` or `plain`: what opscheck asks the server for, so that fetching does the same."""
    _opscheck(place, cluster)
    sent: dict[str, int] = cluster.api.ask("encodings")
    return max(sent, key=lambda encoding: sent[encoding])


def _opscheck(place: Workspace, cluster: _Cluster) -> Took:
    target = {"kind": "kubernetes", "namespace": "load", "kubeconfig": str(cluster.kubeconfig)}
    entry = {
        "id": "pods",
        "check": "kubernetes.pods",
        "target": "cluster",
        "selector": "app=load",
        "min_matches": cluster.pods,
        "severity": "P1",
    }
    policy = place.policy(f"pods-{cluster.pods}", {"cluster": target}, [entry])
    return place.opscheck(policy, counts={"declared": 1, "passed": 1})


def _fetch(place: Workspace, cluster: _Cluster, encoding: str) -> Took:
    found = cluster.api.place
    return place.script(
        "fetch_pods.py",
        f"{cluster.api.url}{found['path']}",
        found["token"],
        encoding,
        says=f'{{"bytes": {found["bytes"]}}}',
    )


def _typed(place: Workspace, cluster: _Cluster) -> Took:
    return place.script("typed_pods.py", str(cluster.kubeconfig), "load", says=f'"ready": {cluster.pods}')
