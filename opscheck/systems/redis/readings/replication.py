"""What INFO tells of servers that belong together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from opscheck.core.observation import Problem, ProblemKind
from opscheck.core.units import format_duration
from opscheck.systems.redis.expectations.replication import RedisReplication
from opscheck.systems.redis.queries.info import Replica, ServerInfo
from opscheck.systems.redis.readings.servers import Server

_ONLINE = "online"
_ROLES = {True: "primary", False: "replica", None: "unknown role"}


@dataclass(frozen=True)
class Fault:
    """Something that is not as it should be."""

    observed: str
    expected: str
    since: datetime | None = None
    evidence: tuple[str, ...] = ()


def role_fault(server: Server[ServerInfo], expectation: RedisReplication) -> Fault | None:
    """Another role than the policy expects. Raises CouldNotObserve where the server does not say its role."""
    is_primary = server.known(server.answer.is_primary, "role")
    wanted = expectation.role
    if wanted is None and expectation.target.is_one_server and not expectation.cluster:
        wanted = "primary"  # it is replicas that are expected of it
    if wanted is None or _ROLES[is_primary] == wanted:
        return None
    follows = "" if is_primary else f" of {primary_of(server.answer)}"
    return Fault(f"it is a {_ROLES[is_primary]}{follows}", f"a {wanted}")


def primary_of(info: ServerInfo) -> str:
    """Where a replica's primary is."""
    return f"{info.master_host}:{info.master_port}"


def link_fault(server: Server[ServerInfo], now: datetime) -> Fault | None:
    """A replica without a link to its primary. Raises CouldNotObserve where the server does not say."""
    info = server.answer
    status = server.known(info.master_link_status, "master_link_status")
    if status == "up":
        return None
    syncing = ", while it copies the data set" if info.master_sync_in_progress else ""
    down = info.master_link_down_since_seconds
    since = None if down is None or down < 0 else _ago(info.server_time or now, down)
    length = f" for {format_duration(down)}" if since is not None and down else ""
    return Fault(f"its link to {primary_of(info)} is {status}{length}{syncing}", "up", since)


def _ago(now: datetime, seconds: int) -> datetime | None:
    try:
        return now - timedelta(seconds=seconds)
    except OverflowError:
        return None


def has_replicas(server: Server[ServerInfo], expectation: RedisReplication) -> bool:
    """Whether it is one whose replicas are judged: a primary, or a replica of which the policy expects its own."""
    return bool(server.answer.is_primary) or expectation.role == "replica"


def online(server: Server[ServerInfo]) -> list[Replica]:
    """The replicas that follow. Raises CouldNotObserve where the server does not say which it has."""
    connected = server.known(server.answer.connected_slaves, "connected_slaves")
    if connected > len(server.answer.replicas):
        raise server.unsaid("the state of its replicas")
    return [one for one in server.answer.replicas if one.state == _ONLINE]


def replica_lines(info: ServerInfo) -> list[str]:
    """Each replica as its primary sees it, a line each."""
    return [f"{one.address}: {one.state or 'state unknown'}" for one in info.replicas]


def missing(server: Server[ServerInfo], expectation: RedisReplication) -> Iterator[Fault]:
    """The replicas by name that do not follow."""
    there = {one.address: one.state for one in server.answer.replicas}
    for address in expectation.replica_addresses:
        if address not in there:
            yield Fault(f"replica {address} is not connected", _ONLINE)
        elif there[address] != _ONLINE:
            yield Fault(f"replica {address} is in state {there[address]}", _ONLINE)


def behind(server: Server[ServerInfo], replica: Replica) -> int:
    """How many bytes a replica lacks. Raises CouldNotObserve where its primary does not say."""
    written = server.known(server.answer.master_repl_offset, "master_repl_offset")
    return max(0, written - server.known(replica.offset, f"the offset of {replica.address}"))


def set_fault(answered: Sequence[Server[ServerInfo]]) -> Fault | None:
    """
    What is wrong with the servers of one set together: no primary, or more than one.

    Raises CouldNotObserve where they are a cluster, whose primaries are many.
    """
    for one in answered:
        if one.answer.cluster_enabled:
            text, advice = f"{one.reply.node} is a node of a cluster", "write `cluster: true` in the expectation"
            raise one.unknown(Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice))
    primaries = [one for one in answered if one.answer.is_primary]
    if len(primaries) == 1:
        return None
    if not primaries:
        lines = tuple(f"{one.address}: {_ROLES[one.answer.is_primary]}" for one in answered)
        return Fault(f"none of {len(answered)} servers that answer is the primary", "1 primary", evidence=lines)
    names = ", ".join(one.address for one in primaries)
    lines = tuple(map(_history, primaries))
    return Fault(f"{len(primaries)} primaries: {names}", "1 primary", evidence=lines)


def _history(server: Server[ServerInfo]) -> str:
    info = server.answer
    up = "?" if info.uptime_in_seconds is None else format_duration(info.uptime_in_seconds)
    return (
        f"{server.address}: up for {up}, {info.connected_slaves} replicas, {info.connected_clients} clients, "
        f"history {info.master_replid} at {info.master_repl_offset}"
    )


def stranger(server: Server[ServerInfo], answered: Sequence[Server[ServerInfo]]) -> Fault | None:
    """A replica that follows, but not the primary of its set."""
    primaries = [one for one in answered if one.answer.is_primary]
    own = server.answer.master_replid
    if len(primaries) != 1 or own is None or server.answer.master_link_status != "up":
        return None
    history = primaries[0].answer.master_replid
    if history is None or own == history:
        return None
    return Fault(f"it follows {primary_of(server.answer)}, which has another history", primaries[0].address)
