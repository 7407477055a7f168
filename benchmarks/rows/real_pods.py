"""Pods on a real kube-apiserver: gathered and judged, compared with fetching the same bytes and with other tools."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import popeye
import yaml
from cluster import Missing, filled_cluster, programs
from measure import BenchmarkError, Command, Median, Took, medians, once, run_well
from table import Line, megabytes, not_measured, ratio, seconds
from workspace import Workspace, workspace

from tests.cluster.control_plane import Cluster

_FIVE = {"few": 1, "many": 5_000}
_TWENTY = {"most": 20_000}
_AIM_RATIO, _AIM_FIVE_BYTES, _AIM_TWENTY_BYTES = 1.5, 150_000_000, 200_000_000
_SERVER = "on a real kube-apiserver"


@dataclass(frozen=True)
class _Contender:
    """A way to look at the pods of a namespace."""

    name: str
    agent: str
    """Its user agent."""
    look: Callable[[str], Took]


@dataclass(frozen=True)
class _Cost:
    """The cost of reading the pods of a large namespace."""

    contender: _Contender
    many: Median
    requests: int
    few: Median | None = None
    """The same for one pod, where that leaves nothing but the start of the process."""

    @property
    def of_pods(self) -> float:
        """Seconds for the pods alone: without starting the process, importing, and connecting."""
        return self.many.wall_s - (self.few.wall_s if self.few else 0)

    def text(self) -> str:
        pods = f"{seconds(self.of_pods)} for the pods, " if self.few else ""
        peak = megabytes(self.many.peak_bytes)
        requests = f"{self.requests} request{'s' * (self.requests != 1)}"
        return f"{pods}{seconds(self.many.wall_s)} whole process, {peak}, {requests}"


@dataclass(frozen=True)
class _Bench:
    """A filled cluster, and a folder to look at it from."""

    cluster: Cluster
    place: Workspace
    pods: dict[str, int]
    fetched: dict[str, int] = field(default_factory=dict)
    """The size of the pods of a namespace in bytes."""

    @property
    def kubeconfig(self) -> Path:
        return self.cluster.kubeconfig()

    def opscheck(self, namespace: str) -> Took:
        target = {"kind": "kubernetes", "namespace": namespace, "kubeconfig": str(self.kubeconfig), "timeout": "60s"}
        entry = {
            "id": "pods",
            "check": "kubernetes.pods",
            "target": "cluster",
            "selector": "load=yes",
            "min_matches": self.pods[namespace],
            "severity": "P1",
        }
        policy = self.place.policy(f"pods-{namespace}", {"cluster": target}, [entry])
        return self.place.opscheck(policy, counts={"declared": 1, "passed": 1})

    def fetch(self, namespace: str) -> Took:
        url = f"{self.cluster.url}/api/v1/namespaces/{namespace}/pods"
        token = yaml.safe_load(self.kubeconfig.read_text())["users"][0]["user"]["token"]
        took = self.place.script("fetch_pods.py", url, token, "gzip", str(self.cluster.authority))
        self.fetched[namespace] = json.loads(took.output)["bytes"]
        return took

    def kubectl(self, namespace: str) -> Took:
        where = ("--kubeconfig", str(self.kubeconfig), "--namespace", namespace)
        words = (str(programs()["kubectl"]), *where, "get", "pods", "--no-headers")
        # It caches the server's resources in its home.
        took = run_well(Command(words, self.place.folder, {"HOME": str(self.place.folder)}))
        if len(took.output.splitlines()) != self.pods[namespace]:
            raise BenchmarkError(f"kubectl did not show {self.pods[namespace]} pods:\n{took.output[:400]}")
        return took

    def typed(self, namespace: str, limit: int = 500) -> Took:
        says = f'"ready": {self.pods[namespace]}'
        return self.place.script("typed_pods.py", str(self.kubeconfig), namespace, str(limit), says=says)

    def popeye(self, namespace: str) -> Took:
        return popeye.look(self.kubeconfig, namespace, self.place.folder)

    def costs(self, runs: int, contenders: Sequence[_Contender], many: str, few: str | None = None) -> list[_Cost]:
        """Measured in turns."""
        requests = [self._requests(one, many) for one in contenders]
        looks = [_look(one, where) for where in (many, few) if where for one in contenders]
        measured = medians(runs, *looks)
        fews: Sequence[Median | None] = measured[len(contenders) :] or [None] * len(contenders)
        return [_Cost(*parts) for parts in zip(contenders, measured, requests, fews, strict=False)]

    def cost_of_one(self, contender: _Contender, many: str, few: str | None = None) -> _Cost:
        """Measured once, because it takes long."""
        before = self._asked(contender)
        took = once(_look(contender, many))
        asked = self._asked(contender) - before
        return _Cost(contender, took, asked, once(_look(contender, few)) if few else None)

    def _requests(self, contender: _Contender, namespace: str) -> int:
        before = self._asked(contender)
        contender.look(namespace)
        asked = self._asked(contender) - before
        if not asked:
            raise BenchmarkError(f"the server's audit log has no request of {contender.name}")
        return asked

    def _asked(self, contender: _Contender) -> int:
        return len(self.cluster.requests_of(contender.agent))


def _look(contender: _Contender, namespace: str) -> Callable[[], Took]:
    return lambda: contender.look(namespace)


def five_thousand(runs: int) -> Iterable[Line]:
    """Whole processes, and the requests that the server's audit log has of each."""
    what = f"{_FIVE['many']:,} pods {_SERVER}"
    try:
        with workspace() as place, filled_cluster(_FIVE) as cluster:
            yield from _five_thousand(_Bench(cluster, place, _FIVE), runs)
    except Missing as why:
        yield not_measured(what, why)


def _five_thousand(bench: _Bench, runs: int) -> Iterable[Line]:
    short = (
        _Contender("opscheck", "opscheck", bench.opscheck),
        _Contender("fetching alone (urllib3)", "python-urllib3", bench.fetch),
        _Contender("`kubectl get pods`", "kubectl", bench.kubectl),
    )
    ours, *others = bench.costs(runs, short, "many", "few")
    paged = _Contender("official typed client, limit=500", "OpenAPI-Generator", bench.typed)
    at_once = _Contender("official typed client, at once", "OpenAPI-Generator", lambda one: bench.typed(one, 0))
    others += [bench.cost_of_one(one, "many", "few") for one in (paged, at_once)]
    texts, whole = [f"{one.contender.name}: {one.text()}" for one in others], _popeye(bench)
    fetching = others[0]
    what = f"{_FIVE['many']:,} pods ({megabytes(bench.fetched['many'])}, gzip) {_SERVER}"
    yield Line(
        what=f"{what}: gathered and judged",
        opscheck=ours.text(),
        others=(*texts, f"{_popeye_name()}: {whole.text() if isinstance(whole, _Cost) else whole}"),
        ratios=(
            *(f"{ratio(ours.of_pods, one.of_pods)} for the pods" for one in others),
            f"{ratio(ours.many.wall_s, whole.many.wall_s)} whole process" if isinstance(whole, _Cost) else "-",
        ),
        aim=f"≤ {_AIM_RATIO} x fetching",
        met=ours.of_pods <= _AIM_RATIO * fetching.of_pods,
    )
    yield _memory(what, ours, others, _AIM_FIVE_BYTES)


def _popeye(bench: _Bench) -> _Cost | str:
    try:
        return bench.cost_of_one(_Contender(_popeye_name(), "popeye", bench.popeye), "many")
    except (Missing, BenchmarkError) as why:
        return f"not measured: {popeye.reason(why)}"


def _popeye_name() -> str:
    return f"Popeye {popeye.version()} on the namespace"


def twenty_thousand(runs: int) -> Iterable[Line]:
    """The memory of a whole process for four times as many."""
    what = f"{_TWENTY['most']:,} pods {_SERVER}"
    try:
        with workspace() as place, filled_cluster(_TWENTY) as cluster:
            bench = _Bench(cluster, place, _TWENTY)
            contenders = (
                _Contender("opscheck", "opscheck", bench.opscheck),
                _Contender("fetching alone (urllib3)", "python-urllib3", bench.fetch),
                _Contender("`kubectl get pods`", "kubectl", bench.kubectl),
            )
            ours, *others = bench.costs(min(runs, 3), contenders, "most")
    except Missing as why:
        yield not_measured(what, why)
        return
    yield _memory(f"{what} ({megabytes(bench.fetched['most'])}, gzip)", ours, others, _AIM_TWENTY_BYTES)


def _memory(what: str, ours: _Cost, others: Sequence[_Cost], aim: int) -> Line:
    return Line(
        what=f"{what}: peak memory",
        opscheck=_peak(ours),
        others=tuple(f"{one.contender.name}: {_peak(one)}" for one in others),
        ratios=tuple(ratio(ours.many.peak_bytes, one.many.peak_bytes) for one in others),
        aim=f"≤ {megabytes(aim)}",
        met=ours.many.peak_bytes <= aim,
    )


def _peak(cost: _Cost) -> str:
    return f"{megabytes(cost.many.peak_bytes)} ({seconds(cost.many.wall_s)} whole process)"
