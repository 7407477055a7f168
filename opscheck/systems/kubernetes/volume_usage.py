"""The use of mounted volumes, and the claims for which it is not known or does not matter."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from opscheck.core.observation import Problem
from opscheck.core.remedy import Remedy
from opscheck.core.units import format_bytes, format_duration
from opscheck.core.words import some_with_reasons
from opscheck.systems.kubernetes.pod_status import phase as pod_phase
from opscheck.systems.kubernetes.pods import Pod
from opscheck.systems.kubernetes.quantities import doubled, parse_quantity
from opscheck.systems.kubernetes.volumes import (
    ENLARGE,
    FRESH_S,
    FULL,
    METRICS,
    SEE_FILES,
    SEE_INODES,
    PersistentVolumeClaim,
    Storage,
    StorageClass,
    VolumesHealthy,
    VolumeUsage,
    mounts_of,
)
from opscheck.systems.kubernetes.words import cannot_tell
from opscheck.systems.prometheus.query import PrometheusVector

YOUNG = timedelta(minutes=5)
"""The kubelet measures once a minute, and Prometheus scrapes once a minute; until then no numbers are normal."""

_CLAIM_LABEL = "persistentvolumeclaim"

_CLUSTER_LABEL = "cluster"

_SHARED = 1.5  # times what was asked for: rounding up to whole blocks and gibibytes is less

Key = tuple[str, str]
"""Namespace and name of a claim."""


@dataclass(frozen=True)
class Share:
    """How much of a volume is used."""

    claim: PersistentVolumeClaim
    limit: str
    percent: float
    detail: str
    evidence: tuple[str, ...]
    remedies: tuple[Remedy, ...]
    facts: Mapping[str, str]


@dataclass
class Use:
    """The shares that are used, and the claims for which there is none."""

    shares: list[Share] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    """Claim, and why its use is not known though it should be."""
    not_yet: dict[str, str] = field(default_factory=dict)
    """Claim, and why its use is not known yet, or means nothing."""
    exempt: dict[str, int] = field(default_factory=dict)
    """Kind of claim that has no use to judge, and the number of such claims."""

    def fullest(self, limit: str) -> list[Share]:
        """The shares of one limit, largest first."""
        shares = [share for share in self.shares if share.limit == limit]
        return sorted(shares, key=lambda share: (-share.percent, share.claim.namespace, share.claim.name))


def from_prometheus(expectation: VolumesHealthy, answers: Mapping[str, PrometheusVector]) -> tuple[VolumeUsage, ...]:
    """
    The measurements in the series, one for each kubelet and replica of Prometheus that measured a claim.

    Series of several metrics belong together when all their labels but the metric's name are alike.
    """
    found: dict[frozenset[tuple[str, str]], dict[str, float | None]] = {}
    for what, vector in answers.items():
        for sample in vector.samples:
            labels = frozenset(pair for pair in sample.labels.items() if pair[0] != "__name__")
            found.setdefault(labels, {})[what] = sample.value
    usages = (_of_series(expectation, dict(labels), values) for labels, values in found.items())
    return tuple(usage for usage in usages if usage.claim)


def _of_series(expectation: VolumesHealthy, labels: dict[str, str], values: Mapping[str, float | None]) -> VolumeUsage:
    return VolumeUsage(
        namespace=labels.get(expectation.prometheus_namespace_label, ""),
        claim=labels.get(_CLAIM_LABEL, ""),
        cluster=labels.get(_CLUSTER_LABEL, ""),
        available=values.get("available"),
        capacity=values.get("capacity"),
        used=values.get("used"),
        inodes=values.get("inodes"),
        inodes_free=values.get("inodes_free"),
        inodes_used=values.get("inodes_used"),
    )


@dataclass(frozen=True)
class Measured:
    """The measurements, and the objects that they are judged with."""

    volumes: Iterable[VolumeUsage]
    unread: Mapping[str, str]
    """Nodes whose kubelet gave no answer, each with the reason."""
    storage: Storage


def use_of(expectation: VolumesHealthy, claims: Iterable[PersistentVolumeClaim], measured: Measured) -> Use:
    """The use of each of `claims`: the highest of its measurements."""
    by_claim: dict[Key, list[VolumeUsage]] = {}
    for one in measured.volumes:
        by_claim.setdefault((one.namespace, one.claim), []).append(one)
    use = Use()
    for claim in claims:
        if claim.is_terminating or claim.phase != "Bound":
            continue  # reported as what it is
        name = expectation.subject(claim)
        pods = tuple(pod for pod in measured.storage.users_of(claim) if _runs(pod))
        volumes = by_claim.get((claim.namespace, claim.name), [])
        if reason := _nothing_to_judge(claim, pods, volumes):
            use.exempt[reason] = use.exempt.get(reason, 0) + 1
            continue
        _judge(expectation, use, _Claim(name, claim, pods, volumes), measured)
    return use


@dataclass(frozen=True)
class _Claim:
    name: str
    claim: PersistentVolumeClaim
    pods: tuple[Pod, ...]
    """Those that run and mount it."""
    volumes: list[VolumeUsage]


def _runs(pod: Pod) -> bool:
    return pod_phase(pod) == "Running" and not pod.is_terminating


def _nothing_to_judge(claim: PersistentVolumeClaim, pods: tuple[Pod, ...], volumes: list[VolumeUsage]) -> str:
    """Why it has no use to judge; empty where it has."""
    if claim.spec and claim.spec.volume_mode == "Block":
        return "block devices"
    modes = (claim.status and claim.status.access_modes) or (claim.spec and claim.spec.access_modes) or ()
    mounts = [mount for pod in pods for mount in mounts_of(pod) if mount.claim == claim.name]
    if (modes and set(modes) == {"ReadOnlyMany"}) or (mounts and all(mount.read_only for mount in mounts)):
        return "only read"
    return "" if pods or volumes else "not mounted"


def _judge(expectation: VolumesHealthy, use: Use, one: _Claim, measured: Measured) -> None:
    fresh = [volume for volume in one.volumes if volume.at is None or _age(volume.at, measured.storage.now) <= FRESH_S]
    if len({volume.cluster for volume in fresh}) > 1:
        clusters = ", ".join(sorted({volume.cluster or "(none)" for volume in fresh}))
        use.missing[one.name] = f"clusters {clusters} have one of that name; say which in `prometheus_labels`"
        return
    if not fresh:
        _record_silence(use, one, measured)
        return
    for limit in expectation.limited:
        shares = [_share(limit, volume) for volume in fresh]
        judged = [share for share in shares if isinstance(share, tuple)]
        if judged:
            percent, detail, volume = max(judged, key=lambda share: share[:2])
            use.shares.append(
                Share(
                    one.claim,
                    limit,
                    percent,
                    detail,
                    tuple(_shared(one.claim, volume)) if limit == "used" else (),
                    *_remedies(limit, one, volume, measured.storage.classes),
                )
            )
        else:
            _record_unjudged(use, one.name, _decisive(share for share in shares if isinstance(share, str)))


_NO_INODES = "without inodes"

_UNUSED = "says that nothing is used"


def _share(limit: str, volume: VolumeUsage) -> tuple[float, str, VolumeUsage] | str:
    """The percentage and its numbers, or why there is none."""
    left, whole, used = (getattr(volume, field) for field in METRICS[limit])
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


def _decisive(reasons: Iterable[str]) -> str:
    """Of several, one that leaves the use unknown."""
    return min(reasons, key=lambda reason: (reason in {_NO_INODES, _UNUSED}, reason))


def _record_unjudged(use: Use, name: str, reason: str) -> None:
    if reason == _NO_INODES:
        use.exempt[reason] = use.exempt.get(reason, 0) + 1
    elif reason == _UNUSED:
        use.not_yet[name] = reason
    else:
        use.missing[name] = reason


def _record_silence(use: Use, one: _Claim, measured: Measured) -> None:
    starts = [pod.status.start_time for pod in one.pods if pod.status and pod.status.start_time]
    if starts and measured.storage.now - min(starts) < YOUNG:
        use.not_yet[one.name] = "mounted just now"
        return
    pod = one.pods[0] if one.pods else None
    node = pod.node if pod else ""
    where = f"mounted by {pod.name}" + (f" on {node}" if node else "") if pod else "mounted"
    why = measured.unread.get(node, "")
    old = max((_age(volume.at, measured.storage.now) for volume in one.volumes if volume.at), default=None)
    if old is not None:
        why = f"its numbers are {format_duration(old)} old"
    use.missing[one.name] = f"{where}, and {why or f'no number of the last {format_duration(FRESH_S)}'}"


def _age(at: datetime, now: datetime) -> float:
    return (now - at).total_seconds()


def _is_shared(claim: PersistentVolumeClaim, volume: VolumeUsage) -> bool:
    """True where the file system is larger than the claim requests: NFS and EFS report the whole."""
    try:
        asked = float(parse_quantity(claim.requested))
    except ValueError:
        return False
    return volume.capacity is not None and volume.capacity > _SHARED * asked > 0


def _shared(claim: PersistentVolumeClaim, volume: VolumeUsage) -> Iterator[str]:
    if _is_shared(claim, volume):
        yield f"the claim asks for {claim.requested}: the file system is larger, and others may fill it too"


def _remedies(
    limit: str, one: _Claim, volume: VolumeUsage, classes: Mapping[str, StorageClass] | None
) -> tuple[tuple[Remedy, ...], dict[str, str]]:
    """How to make room on the volume, and what the commands name."""
    remedies, facts = [FULL], {"claim": one.claim.name}
    if one.pods:
        remedies.append(SEE_FILES if limit == "used" else SEE_INODES)
        facts["pod"] = one.pods[0].name
    made_by = (classes or {}).get(one.claim.class_name or "")
    larger = doubled(one.claim.requested)
    if made_by and made_by.allow_volume_expansion and larger and limit == "used" and not _is_shared(one.claim, volume):
        remedies.append(ENLARGE)
        patch = {"spec": {"resources": {"requests": {"storage": larger}}}}
        facts |= {"doubled_size": larger, "size_patch": json.dumps(patch, separators=(",", ":"))}
    return tuple(remedies), facts


def unjudged(expectation: VolumesHealthy, use: Use) -> Problem | None:
    """Why the limits on use may not be kept, although no violation was found."""
    if use.missing:
        return cannot_tell(f"not known what is used of {some_with_reasons(use.missing)}", _advice(expectation))
    if use.not_yet and any(not use.fullest(limit) for limit in expectation.limited):
        text = f"nothing is known yet of what is used: {some_with_reasons(use.not_yet)}"
        return cannot_tell(text, "look again in some minutes, or take the limit out")
    return None


def _advice(expectation: VolumesHealthy) -> str:
    if expectation.prometheus is None:
        return "see whether the kubelet there is well, and whether the storage driver measures its volumes"
    label = expectation.prometheus_namespace_label
    return (
        "see whether Prometheus scrapes the kubelets (kubelet_volume_stats_*), whether their claims' namespace is in "
        f"the label {label}, and whether the storage driver measures its volumes"
    )
