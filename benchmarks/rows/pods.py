"""Five thousand pods: gathered and judged, compared with fetching the bytes and with the official client's models."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from measure import BenchmarkError, Median, Took, medians, once
from servers import Server, serving
from table import Line, megabytes, ratio, seconds
from workspace import Workspace, workspace

_MANY, _FEW = 5000, 1
_BYTES_EACH = 7800
_HEADS = 0.01  # the metadata and the continue tokens of pages differ by server
_AIM_RATIO, _AIM_BYTES = 1.5, 150_000_000
_MANNERS = {"fresh": "encoded on request", "ready": "bytes that lie ready"}


@dataclass(frozen=True)
class _Cluster:
    """A served cluster with so many pods."""

    api: Server
    kubeconfig: Path
    pods: int


@dataclass(frozen=True)
class _Cost:
    """The cost of a process for all pods, and for one."""

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
    """Once from a server that does an API server's work, once from bytes that lie ready, which is all of its haste."""
    with workspace() as place:
        for manner, text in _MANNERS.items():
            with _clusters(place, manner) as clusters:
                yield from _lines(place, clusters, text, runs)


@contextmanager
def _clusters(place: Workspace, manner: str) -> Iterator[tuple[_Cluster, _Cluster]]:
    many, few = place.folder / "many", place.folder / "few"
    with (
        serving("pods", str(_MANY), str(_BYTES_EACH), manner, str(many)) as large,
        serving("pods", str(_FEW), str(_BYTES_EACH), manner, str(few)) as small,
    ):
        yield _Cluster(large, many, _MANY), _Cluster(small, few, _FEW)


def _lines(place: Workspace, clusters: tuple[_Cluster, _Cluster], manner: str, runs: int) -> Iterable[Line]:
    encoding = _encoding_asked_for(place, clusters[0])
    measured = medians(
        runs,
        *(partial(_opscheck, place, one) for one in clusters),
        *(partial(_fetch, place, one, encoding) for one in clusters),
    )
    ours, fetching = _Cost(*measured[:2]), _Cost(*measured[2:])
    typed = _Cost(*(once(partial(_typed, place, one)) for one in clusters))
    others = {"fetching alone (urllib3)": fetching, "official typed client": typed}
    size = megabytes(int(clusters[0].api.place["bytes"]))
    what = f"{_MANY:,} pods ({size}, {encoding}), {manner}"
    yield Line(
        what=f"{what}: gathered and judged",
        opscheck=ours.text(),
        others=tuple(f"{name}: {one.text()}" for name, one in others.items()),
        ratios=tuple(f"{ratio(ours.of_pods, one.of_pods)} for the pods" for one in others.values()),
        aim=f"≤ {_AIM_RATIO} x fetching",
        met=ours.of_pods <= _AIM_RATIO * fetching.of_pods,
    )
    yield Line(
        what=f"{what}: peak memory",
        opscheck=megabytes(ours.many.peak_bytes),
        others=tuple(f"{name}: {megabytes(one.many.peak_bytes)}" for name, one in others.items()),
        ratios=tuple(ratio(ours.many.peak_bytes, one.many.peak_bytes) for one in others.values()),
        aim=f"≤ {megabytes(_AIM_BYTES)}",
        met=ours.many.peak_bytes <= _AIM_BYTES,
    )


def _encoding_asked_for(place: Workspace, cluster: _Cluster) -> str:
    """`gzip` or `plain`: the encoding that opscheck requests, so that fetching requests the same."""
    _opscheck(place, cluster)
    asked: list[str] = cluster.api.ask("encodings")
    return "gzip" if "gzip" in asked[-1] else "plain"


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
    took = place.script("fetch_pods.py", f"{cluster.api.url}{found['path']}", found["token"], encoding)
    fetched = json.loads(took.output)["bytes"]
    if abs(fetched - found["bytes"]) > _HEADS * found["bytes"]:
        raise BenchmarkError(f"expected {found['bytes']} bytes of pods, fetched {fetched}")
    return took


def _typed(place: Workspace, cluster: _Cluster) -> Took:
    return place.script("typed_pods.py", str(cluster.kubeconfig), "load", says=f'"ready": {cluster.pods}')
