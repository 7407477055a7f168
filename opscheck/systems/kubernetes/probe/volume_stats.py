"""Volume statistics: each kubelet's own summary, through the API server's proxy."""

from collections.abc import Callable, Iterable
from typing import final

import msgspec

from opscheck.core.query import Timestamp
from opscheck.systems.kubernetes.objects import Part
from opscheck.systems.kubernetes.pods import Pod
from opscheck.systems.kubernetes.probe.client import Client, Deadline, Request
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

    def usage(self, claim: _Reference) -> VolumeUsage:
        """The same, as the measurements of `claim`."""
        return VolumeUsage(
            namespace=claim.namespace or "",
            claim=claim.name or "",
            at=self.time,
            available=self.available_bytes,
            capacity=self.capacity_bytes,
            used=self.used_bytes,
            inodes=self.inodes,
            inodes_free=self.inodes_free,
            inodes_used=self.inodes_used,
        )


@final
class _Pod(Part, frozen=True):
    volume: tuple[_Volume, ...] | None = None


class _Summary(msgspec.Struct, frozen=True):
    node: msgspec.Raw
    """Required: any other JSON must not pass for a node without volumes."""
    pods: tuple[_Pod, ...] | None = None


_decode = msgspec.json.Decoder(_Summary).decode
NodeVolumes = tuple[VolumeUsage, ...] | str
"""The measurements of one kubelet, or the reason why they are missing."""


def read_volume_stats(
    query: ReadVolumeStats,
    pods: Iterable[Pod],
    of_node: Callable[[str], NodeVolumes],
    client: Client,
    deadline: Deadline,
) -> VolumeStats:
    """Query the kubelets of `pods` that mount claims. Raises ProbeError for a problem of all kubelets."""
    nodes = sorted({pod.node for pod in pods if pod.node and pod.phase == "Running" and any(mounts_of(pod))})
    done = f"kubelets answered in {deadline.timeout_s:g} s"
    advice = "raise `timeout`, or select fewer namespaces"
    answers = client.in_parallel(of_node, nodes, deadline, done=done, advice=advice)
    measured = [one for answer in answers if not isinstance(answer, str) for one in answer]
    return VolumeStats(
        volumes=tuple(one for one in measured if query.namespace in {None, one.namespace}),
        unread={node: answer for node, answer in zip(nodes, answers, strict=True) if isinstance(answer, str)},
    )


def volumes_of_node(client: Client, node: str, deadline: Deadline) -> NodeVolumes:
    """The measurements of the kubelet of `node`, or the reason why not. Raises ProbeError without the permission."""
    request = Request(f"/api/v1/nodes/{node}/proxy/stats/summary", NODES_PROXY, name=node)
    reply = client.reply(request, deadline)
    if reply.status == _NOT_FOUND or reply.status >= 500:  # noqa: PLR2004 - the proxy's and the kubelet's own failures
        return f"{reply.status}: {message_of(reply) or 'no message'}"
    if reply.status != _OK:
        raise client.refusal(request, reply)
    try:
        summary = _decode(reply.body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return f"invalid summary: {error}"
    return tuple(one.usage(one.pvc_ref) for pod in summary.pods or () for one in pod.volume or () if one.pvc_ref)
