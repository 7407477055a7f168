"""The shipped policy for Kubernetes as a whole: the number of requests to a real API server."""

from collections.abc import Iterable
from pathlib import Path

import popeye
import yaml
from cluster import Missing, empty_cluster
from measure import BenchmarkError
from table import Line, not_measured, ratio
from workspace import Workspace, workspace

from tests.cluster.control_plane import Cluster
from tests.cluster.manifests import measurable, one_of_each

_POLICY = Path(__file__).parents[2] / "policies" / "kubernetes.yaml"
_NAMESPACE = "shop"
_AIM = 27


def requests(_runs: int) -> Iterable[Line]:
    """Requests in the server's audit log, for a namespace with one object of every kind that is looked at."""
    count = len(yaml.safe_load(_POLICY.read_text())["expectations"])
    what = f"policies/kubernetes.yaml ({count} expectations) on one namespace of a real kube-apiserver, API requests"
    try:
        with workspace() as place, empty_cluster() as cluster:
            _furnish(cluster)
            ours = _opscheck(place, cluster, count)
            theirs = _popeye(place, cluster)
    except Missing as why:
        yield not_measured(what, why)
        return
    yield Line(
        what=what,
        opscheck=f"{ours}",
        others=(f"Popeye {popeye.version()}: {theirs}",),
        ratios=(ratio(ours, theirs) if isinstance(theirs, int) else "-",),
        aim=f"≤ {_AIM} requests",
        met=ours <= _AIM,
    )


def _furnish(cluster: Cluster) -> None:
    definitions = measurable()
    cluster.api.apply(*definitions)
    for definition in definitions:
        cluster.api.wait_for(definition, "Established")
    cluster.api.apply(*one_of_each(_NAMESPACE))


def _opscheck(place: Workspace, cluster: Cluster, count: int) -> int:
    """Every verdict is based on an answer. Names are resolved here and not in a pod, which costs the server nothing."""
    target = {"kind": "kubernetes", "namespace": _NAMESPACE, "kubeconfig": str(cluster.kubeconfig())}
    targets = {"cluster": target, "dns-client": {"kind": "host", "uri": "local://"}}
    policy = place.folder / "whole.yaml"
    policy.write_text(yaml.safe_dump({"version": 1, "extends": str(_POLICY), "targets": targets}))
    took = place.opscheck(policy, counts={"declared": count, "unknown": 0}, exit_code=1)
    asked = len(cluster.requests_of("opscheck"))
    if not asked:
        raise BenchmarkError(f"the server's audit log has no request of opscheck:\n{took.output}")
    return asked


def _popeye(place: Workspace, cluster: Cluster) -> int | str:
    try:
        popeye.look(cluster.kubeconfig(), _NAMESPACE, place.folder)
    except (Missing, BenchmarkError) as why:
        return f"not measured: {popeye.reason(why)}"
    return len(cluster.requests_of("popeye"))
