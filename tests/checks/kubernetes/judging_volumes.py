"""Claims as a cluster reports them at one moment, and what kubernetes.volumes says of them then."""

from datetime import UTC, datetime, timedelta

import msgspec

from checks.kubernetes import test_volumes
from opscheck import Findings, KubernetesTarget, PrometheusTarget
from opscheck.core.observation import CouldNotObserve, Problem
from opscheck.demo.kubernetes import claim, mounting, pod, storage_class
from opscheck.systems.kubernetes.lists import ObjectList
from opscheck.systems.kubernetes.pods import ListPods, Pod
from opscheck.systems.kubernetes.volumes import (
    ListClaims,
    ListStorageClasses,
    PersistentVolumeClaim,
    ReadVolumeStats,
    StorageClass,
    VolumesHealthy,
    VolumeStats,
)
from opscheck.systems.prometheus.query import PrometheusQuery, PrometheusSample, PrometheusVector
from opscheck.testing import Answers, expect
from tests.checks.kubernetes.rendering import rendered

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TARGET = KubernetesTarget(kind="kubernetes", namespace="default")
METRICS = PrometheusTarget(kind="prometheus", base_url="https://prometheus.example.com").named("metrics")
GRACE = timedelta(minutes=15)
SECOND = timedelta(seconds=1)
CLASSES = (storage_class("standard"), storage_class("fast", waits=False, expands=False))
GI = 2**30


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def a_claim(name="data-db-0", **fields):
    return claim(name, **{"created": ago(days=2)} | fields)


def a_pod(*claims, name="db-0", read_only=False, ephemeral=(), **fields):
    made = pod(name, **{"created": ago(days=2), "owner": "StatefulSet/db"} | fields)
    return mounting(made, *claims, read_only=read_only, ephemeral=ephemeral)


def waiting(*claims, message="0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.", **fields):
    """A pod that no node takes yet."""
    made = a_pod(*claims, **{"phase": "Pending", "node": None} | fields)
    made["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    ]
    return made


def series(name="data-db-0", namespace="default", **labels) -> dict[str, str]:
    return {"namespace": namespace, "persistentvolumeclaim": name, "node": "node-1", **labels}


def measured(**fields) -> dict[str, tuple[dict[str, str], float | None]]:
    """
    What Prometheus has of one claim, by the name of what is measured; half-empty where nothing else is said.

    None: it has no such series. What is no number of the volume is a label.
    """
    values = {"available": 6 * GI, "capacity": 10 * GI, "used": 4 * GI}
    values |= {"inodes": 1000, "inodes_free": 900, "inodes_used": 100}
    labels = {name: value for name, value in fields.items() if name not in values}
    chosen = values | {name: value for name, value in fields.items() if name in values}
    return {what: (series(**labels), value) for what, value in chosen.items() if value is not None}


class Judged:
    """One judgement: what was found, and why it is unknown where it is."""

    def __init__(self, *objects, classes=CLASSES, series=(), stats=None, target=TARGET, **fields):
        self.expectation = expect(VolumesHealthy, target, **{"severity": "P1"} | fields)
        self.findings = Findings(self.expectation)
        self.unknown = ""
        self.advice = ""
        claims = [one for one in objects if one["kind"] == "PersistentVolumeClaim"]
        pods = [one for one in objects if one["kind"] == "Pod"]
        metrics = {query: what for what, query in self.expectation.series().items()}

        def answer(query):
            match query:
                case ListClaims():
                    return _list(PersistentVolumeClaim, claims)
                case ListPods():
                    return _list(Pod, pods)
                case ListStorageClasses():
                    return classes if isinstance(classes, Problem) else _list(StorageClass, classes)
                case ReadVolumeStats():
                    return stats or VolumeStats()
                case PrometheusQuery():
                    return _vector(series, metrics[query])
            raise KeyError(query)

        try:
            test_volumes.test_the_volumes_are_there_and_have_room(
                self.expectation, observe=Answers(answer, NOW), findings=self.findings
            )
        except CouldNotObserve as error:
            self.unknown, self.advice = error.problem.text, error.problem.advice

    @property
    def observed(self) -> list[str]:
        assert self.unknown == "", self.unknown
        return [violation.observed for violation in self.findings.violations]

    @property
    def commands(self) -> list[str]:
        return rendered(self.expectation, self.findings)

    @property
    def measurements(self) -> dict[str, float]:
        return {one.name: one.value for one in self.findings.measurements}

    def only(self):
        (violation,) = self.findings.violations
        return violation


def _list(kind, objects) -> ObjectList:
    return ObjectList(tuple(msgspec.convert(one, kind) for one in objects))


def _vector(series, what) -> PrometheusVector:
    there = [one[what] for one in series if what in one]
    return PrometheusVector(samples=tuple(PrometheusSample(labels=labels, value=value) for labels, value in there))


def used(*objects, series=(), limit="90%", **fields) -> Judged:
    return Judged(*objects, series=series, **{"prometheus": METRICS, "used": {"P2": limit}} | fields)
