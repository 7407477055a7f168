"""The use of mounted volumes, and the claims for which it is not known or does not matter."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from opscheck.core.findings import FindingParts
from opscheck.core.observation import Problem
from opscheck.core.units import format_bytes, format_duration
from opscheck.core.words import some_with_reasons
from opscheck.systems.kubernetes.owners import reference
from opscheck.systems.kubernetes.pod_status import phase
from opscheck.systems.kubernetes.pods import Pod
from opscheck.systems.kubernetes.quantities import doubled, parse_quantity
from opscheck.systems.kubernetes.shares import Share, Shares
from opscheck.systems.kubernetes.volumes import (
    ENLARGE,
    FRESH_S,
    FULL,
    METRICS,
    SEE_FILES,
    SEE_INODES,
    PersistentVolumeClaim,
    Storage,
    VolumesHealthy,
    VolumeUsage,
    mounts_of,
)
from opscheck.systems.kubernetes.words import cannot_tell
from opscheck.systems.prometheus.query import PrometheusVector

YOUNG = timedelta(minutes=5)
"""The kubelet measures once a minute, and Prometheus scrapes once a minute; until then no numbers are normal."""

_SHARED = 1.5  # times the requested size: rounding up to whole blocks and gibibytes is less
_NO_INODES = "without inodes"
_UNUSED = "says that nothing is used"


def from_prometheus(expectation: VolumesHealthy, answers: Mapping[str, PrometheusVector]) -> list[VolumeUsage]:
    """
    The measurements in the series, one for each kubelet and replica of Prometheus that measured a claim.

    Series of several metrics belong together when all their labels but the metric's name are alike.
    """
    found: dict[frozenset[tuple[str, str]], dict[str, Any]] = {}
    for what, vector in answers.items():
        for sample in vector.samples:
            labels = frozenset(pair for pair in sample.labels.items() if pair[0] != "__name__")
            found.setdefault(labels, {})[what] = sample.value
    usages = [
        VolumeUsage(
            namespace=labels.get(expectation.prometheus_namespace_label, ""),
            claim=labels.get("persistentvolumeclaim", ""),
            cluster=labels.get("cluster", ""),
            **values,
        )
        for labels, values in ((dict(pairs), values) for pairs, values in found.items())
    ]
    return [usage for usage in usages if usage.claim]


class VolumeUse:
    """The use of claims, each judged by the highest of its measurements."""

    def __init__(
        self,
        expectation: VolumesHealthy,
        storage: Storage,
        volumes: Iterable[VolumeUsage],
        unread: Mapping[str, str],
    ) -> None:
        self._expectation = expectation
        self._storage = storage
        self._volumes: dict[tuple[str, str], list[VolumeUsage]] = {}
        self._unread = unread  # nodes whose kubelet gave no answer, each with the reason
        self.shares = Shares()
        self.exempt = Counter[str]()
        """Kinds of claims that have no use to judge, and the number of such claims."""
        for one in volumes:
            self._volumes.setdefault((one.namespace, one.claim), []).append(one)

    def judge(self, claim: PersistentVolumeClaim) -> None:
        """Add the shares of `claim`, or the reason why it has none."""
        if claim.is_terminating or claim.phase != "Bound":
            return  # reported as what it is
        users = self._storage.users_of(claim)
        pods = [pod for pod in users if phase(pod) == "Running" and not pod.is_terminating]
        volumes, now = self._volumes.get((claim.namespace, claim.name), []), self._storage.now
        name = self._expectation.subject(claim)
        fresh = [volume for volume in volumes if volume.at is None or _age(volume.at, now) <= FRESH_S]
        if reason := _nothing_to_judge(claim, pods, volumes):
            self.exempt[reason] += 1
        elif len({volume.cluster for volume in fresh}) > 1:
            clusters = ", ".join(sorted({volume.cluster or "(none)" for volume in fresh}))
            self.shares.missing[name] = f"clusters {clusters} have one of that name; say which in `prometheus_labels`"
        elif not fresh:
            self._judge_silence(name, pods, volumes)
        else:
            for limit in self._expectation.limited:
                self._judge_limit(limit, claim, pods, fresh)

    def _judge_silence(self, name: str, pods: Sequence[Pod], volumes: Sequence[VolumeUsage]) -> None:
        starts = [pod.status.start_time for pod in pods if pod.status and pod.status.start_time]
        if starts and self._storage.now - min(starts) < YOUNG:
            self.shares.not_yet[name] = "mounted just now"
            return
        node = pods[0].node if pods else ""
        where = f"mounted by {pods[0].name}{f' on {node}' if node else ''}" if pods else "mounted"
        why = self._unread.get(node) or f"no number of the last {format_duration(FRESH_S)}"
        ages = [_age(volume.at, self._storage.now) for volume in volumes if volume.at]
        if ages:
            why = f"its numbers are {format_duration(max(ages))} old"
        self.shares.missing[name] = f"{where}, and {why}"

    def _judge_limit(
        self, limit: str, claim: PersistentVolumeClaim, pods: Sequence[Pod], volumes: Sequence[VolumeUsage]
    ) -> None:
        shares = [_share(limit, volume) for volume in volumes]
        judged = [share for share in shares if isinstance(share, tuple)]
        # Of several reasons, one that leaves the use unknown.
        reasons = sorted((reason for reason in shares if isinstance(reason, str)), key=_is_harmless)
        name = self._expectation.subject(claim)
        if judged:
            percent, detail, volume = max(judged, key=lambda share: share[:2])
            self.shares.found.append(self._of_claim(limit, claim, pods, volume, percent, detail))
        elif reasons[0] == _NO_INODES:
            self.exempt[reasons[0]] += 1
        elif reasons[0] == _UNUSED:
            self.shares.not_yet[name] = reasons[0]
        else:
            self.shares.missing[name] = reasons[0]

    def _of_claim(  # noqa: PLR0913, PLR0917 - the parts of a share
        self,
        limit: str,
        claim: PersistentVolumeClaim,
        pods: Sequence[Pod],
        volume: VolumeUsage,
        percent: float,
        detail: str,
    ) -> Share:
        target = self._expectation.target
        remedies, facts = [FULL], {"namespace": claim.namespace or target.namespace, "claim": claim.name}
        shared, larger = _is_shared(claim, volume), doubled(claim.requested)
        made_by = (self._storage.classes or {}).get(claim.class_name or "")
        if pods:
            remedies.append(SEE_FILES if limit == "used" else SEE_INODES)
            facts["pod"] = pods[0].name
        if made_by and made_by.allow_volume_expansion and larger and limit == "used" and not shared:
            remedies.append(ENLARGE)
            patch = {"spec": {"resources": {"requests": {"storage": larger}}}}
            facts |= {"doubled_size": larger, "size_patch": json.dumps(patch, separators=(",", ":"))}
        note = f"the claim asks for {claim.requested}: the file system is larger, and others may fill it too"
        parts: FindingParts = {
            "remedies": remedies,
            "facts": facts,
            "evidence": (note,) if shared and limit == "used" else (),
            "about": reference(target, "persistentvolumeclaim", claim.name, claim.namespace),
        }
        return Share(limit, self._expectation.subject(claim), percent, detail, parts)

    def unjudged(self) -> Problem | None:
        """Why the limits on use may not be kept, although no violation was found."""
        if self.shares.missing:
            text = f"not known what is used of {some_with_reasons(self.shares.missing)}"
            return cannot_tell(text, _advice(self._expectation))
        if self.shares.not_yet and any(not self.shares.of(limit) for limit in self._expectation.limited):
            text = f"nothing is known yet of what is used: {some_with_reasons(self.shares.not_yet)}"
            return cannot_tell(text, "look again in some minutes, or take the limit out")
        return None


def _nothing_to_judge(claim: PersistentVolumeClaim, pods: Sequence[Pod], volumes: Sequence[VolumeUsage]) -> str:
    """Why it has no use to judge; empty where it has."""
    if claim.spec and claim.spec.volume_mode == "Block":
        return "block devices"
    modes = (claim.status and claim.status.access_modes) or (claim.spec and claim.spec.access_modes) or ()
    mounts = [mount for pod in pods for mount in mounts_of(pod) if mount.claim == claim.name]
    if (modes and set(modes) == {"ReadOnlyMany"}) or (mounts and all(mount.read_only for mount in mounts)):
        return "only read"
    return "" if pods or volumes else "not mounted"


def _share(limit: str, volume: VolumeUsage) -> tuple[float, str, VolumeUsage] | str:
    """The percentage and its numbers, or why there is none."""
    left, whole, used = (getattr(volume, name) for name in METRICS[limit])
    if whole is None or left is None:
        return "no inodes are reported" if limit == "inodes" else "no capacity is reported"
    if whole <= 0:
        # A file system that makes inodes as it needs them cannot run out of them.
        return _NO_INODES if limit == "inodes" else "a capacity of 0 is reported"
    if used is not None and used <= 0:
        return _UNUSED
    # Not `used`: the blocks reserved for root are neither used nor writable.
    percent = max(0.0, (1 - left / whole) * 100)
    show: Callable[[float], str] = format_bytes if limit == "used" else "{:.0f}".format
    return percent, f"{show(left)} left of {show(whole)}", volume


def _is_harmless(reason: str) -> tuple[bool, str]:
    return reason in {_NO_INODES, _UNUSED}, reason


def _age(at: datetime, now: datetime) -> float:
    return (now - at).total_seconds()


def _is_shared(claim: PersistentVolumeClaim, volume: VolumeUsage) -> bool:
    """True where the file system is larger than the claim requests: NFS and EFS report the whole."""
    try:
        asked = float(parse_quantity(claim.requested))
    except ValueError:
        return False
    return volume.capacity is not None and volume.capacity > _SHARED * asked > 0


def _advice(expectation: VolumesHealthy) -> str:
    if expectation.prometheus is None:
        return "see whether the kubelet there is well, and whether the storage driver measures its volumes"
    label = expectation.prometheus_namespace_label
    return (
        "see whether Prometheus scrapes the kubelets (kubelet_volume_stats_*), whether their claims' namespace is in "
        f"the label {label}, and whether the storage driver measures its volumes"
    )
