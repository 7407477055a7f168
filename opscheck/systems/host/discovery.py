"""A first policy for the disks of this machine."""

from collections.abc import Iterator

from opscheck.core.discovery import Discovery, DiscoveryInput, Look, Proposal, ProposedTarget, Value, not_read, slug
from opscheck.core.findings import Observe
from opscheck.core.observation import CouldNotObserve, Problem
from opscheck.core.units import format_bytes
from opscheck.systems.host.disk import DiskAnswer, DiskUse, Filesystem
from opscheck.systems.host.mounts import ListMounts, Mount, data_mounts

_HERE = ProposedTarget(
    id="this-host", fields={"kind": "host", "uri": "local://"}, seen="The machine that opscheck runs on."
)
_LIMIT: Value = {"P2": "85%", "P0": "95%"}


def discover(given: DiscoveryInput, look: Look) -> Discovery:
    """Propose `host.disk` for each disk and share that is mounted here."""
    if not given.host:
        return Discovery()
    table = ListMounts(_HERE.id)
    try:
        mounts = data_mounts(look(_HERE, [table])(table).mounts)
    except CouldNotObserve as error:
        return Discovery(not_seen=(not_read(_HERE.id, "the mounts", error),))
    if not mounts:
        return Discovery(not_seen=(f"{_HERE.id}: no disk is mounted, as in a container",))
    return _proposed(mounts, look(_HERE, [DiskUse(_HERE.id, one.place) for one in mounts]))


def _proposed(mounts: tuple[Mount, ...], observe: Observe) -> Discovery:
    answers = {one: _answer(one, observe) for one in mounts}
    unread = {one.place: answer for one, answer in answers.items() if isinstance(answer, Problem)}
    return Discovery(
        targets=(_HERE,),
        proposals=tuple(_proposal(one, answer) for one, answer in answers.items()),
        not_seen=tuple(f"{_HERE.id}: {place}: {problem.text}" for place, problem in unread.items()),
    )


def _answer(mount: Mount, observe: Observe) -> DiskAnswer | Problem:
    query = DiskUse(_HERE.id, mount.place)
    return observe.evidence(query)


def _proposal(mount: Mount, answer: DiskAnswer | Problem) -> Proposal:
    disk = None if isinstance(answer, Problem) else answer.filesystem
    # A disk that is not proposed because it did not answer would be forgotten.
    inodes = {"inodes": _LIMIT} if disk is None or (disk.inodes is not None and disk.inodes.limited) else {}
    return Proposal(
        id=f"disk-{slug(mount.place) or 'root'}",
        check="host.disk",
        target=_HERE.id,
        selector={"mount": mount.place},
        fields={"used": _LIMIT, **inodes},
        tags=("resource-exhaustion",),
        reason=f"{', '.join(_seen(mount, disk))}. At 85% there is time to make room; at 100% writes fail.",
    )


def _seen(mount: Mount, disk: Filesystem | None) -> Iterator[str]:
    yield f"{mount.source} ({mount.type})"
    total = disk.used + disk.available if disk else 0
    if disk and total:
        yield f"{100 * disk.used / total:.0f}% of {format_bytes(total)} used"
