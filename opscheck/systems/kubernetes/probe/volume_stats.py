"""Volume statistics: each kubelet's own summary, through the API server's proxy."""

from collections.abc import Callable, Iterable
from typing import final

import msgspec

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.query import Timestamp
from opscheck.systems.kubernetes.objects import Part
from opscheck.systems.kubernetes.pods import Pod
from opscheck.systems.kubernetes.probe.client import Client, Deadline, Request, in_parallel
from opscheck.systems.kubernetes.probe.errors import message_of
from opscheck.systems.kubernetes.volumes import NODES_PROXY, ReadVolumeStats, VolumeStats, VolumeUsage, mounts_of

_OK, _NOT_FOUND = 200, 404


@final
class _Reference(Part, frozen=True):
    name: str | None = None
    namespace: str | None = None


@final
class _Volume(Part, frozen=True):
    pvc_ref: _Reference | None = None
    time: Timestamp | None = None
    available_bytes: float | None = None
    capacity_bytes: float | None = None
    used_bytes: float | None = None
    inodes: float | None = None
    inodes_free: float | None = None
    inodes_used: float | None = None


@final
class _Pod(Part, frozen=True):
    volume: tuple[_Volume, ...] | None = None


class _Summary(msgspec.Struct, frozen=True):
    node: msgspec.Raw
    """Required: any other JSON must not pass for a node without volumes."""
    pods: tuple[_Pod, ...] | None = None


_decode = msgspec.json.Decoder(_Summary).decode
NodeVolumes = tuple[VolumeUsage, ...] | str
"""The measurements of one kubelet, or the reason why there are none."""


def read_volume_stats(
    query: ReadVolumeStats,
    pods: Iterable[Pod],
    of_node: Callable[[str], NodeVolumes],
    client: Client,
    deadline: Deadline,
) -> VolumeStats:
    """Query the kubelets of `pods` that mount claims. Raises ProbeError where every kubelet would fail alike."""
    nodes = sorted({node for pod in pods if (node := _node_of(pod)) and any(mounts_of(pod))})

    def late(read: int) -> ProbeError:
        down = client.late(deadline).problem.target_down
        text = f"{read} of {len(nodes)} kubelets answered in {deadline.timeout_s:g} s"
        return ProbeError(ProblemKind.LATE, text, "raise `timeout`, or look at fewer namespaces", target_down=down)

    answers = dict(zip(nodes, in_parallel(of_node, nodes, deadline, late), strict=True))
    return VolumeStats(
        volumes=tuple(
            one
            for found in answers.values()
            if not isinstance(found, str)
            for one in found
            if query.namespace in {None, one.namespace}
        ),
        unread={node: found for node, found in answers.items() if isinstance(found, str)},
    )


def _node_of(pod: Pod) -> str:
    phase = pod.status and pod.status.phase
    return (pod.spec and pod.spec.node_name) or "" if phase == "Running" else ""


def volumes_of_node(client: Client, node: str, deadline: Deadline) -> NodeVolumes:
    """The measurements of the kubelet of `node`, or why there are none. Raises ProbeError without the permission."""
    request = Request(f"/api/v1/nodes/{node}/proxy/stats/summary", NODES_PROXY, name=node)
    reply = client.reply(request, deadline)
    if reply.status == _NOT_FOUND or reply.status >= 500:  # noqa: PLR2004 - the proxy's and the kubelet's own failures
        return f"{reply.status}: {message_of(reply) or 'nothing more'}"
    if reply.status != _OK:
        raise client.refusal(request, reply)
    try:
        summary = _decode(reply.body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return f"its summary cannot be read: {error}"
    return tuple(_usage(one) for pod in summary.pods or () for one in pod.volume or () if one.pvc_ref)


def _usage(one: _Volume) -> VolumeUsage:
    claim = one.pvc_ref or _Reference()
    return VolumeUsage(
        namespace=claim.namespace or "",
        claim=claim.name or "",
        at=one.time,
        available=one.available_bytes,
        capacity=one.capacity_bytes,
        used=one.used_bytes,
        inodes=one.inodes,
        inodes_free=one.inodes_free,
        inodes_used=one.inodes_used,
    )
