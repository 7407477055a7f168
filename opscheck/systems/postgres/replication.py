"""postgres.replication: replicas, standbys and replication slots."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

import msgspec
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.field_types import BytesLeft, CountLeft
from opscheck.core.query import Query, Timestamp
from opscheck.core.remedy import Former, Remedy
from opscheck.core.units import ByteSize, Duration, Graded, Severity, Timeout
from opscheck.systems.postgres.server import READ_SESSIONS, READ_SETTINGS, InServer, ServerQuery


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """A connection that the server sends its WAL to."""

    pid: int
    application: str
    client: str
    """Its address; empty for a Unix socket."""
    state: str
    """`streaming`, `catchup`, `startup`, `backup` or `stopping`."""
    sync_state: str
    """`sync`, `quorum`, `potential` or `async`."""
    slot: str | None
    logical: bool
    """Whether it decodes WAL for a subscriber, and is no copy of the server."""
    unsent_bytes: int | None
    unflushed_bytes: int | None
    behind_bytes: int | None
    """What is not replayed yet; not written, for one that never replays anything. None before its first reply."""
    lag_s: float | None
    """The server's own estimate; None while nothing is under way, and before the first replies."""
    silent_s: float | None
    """How long ago it sent its last reply, by its own clock."""
    flush_lag_s: float | None = None
    """The server's estimate of how long it takes until something is on its disk; None as for `lag_s`."""
    caught_up_s: float | None = None
    """After how long it had replayed what was there when it was first looked at; None when it did not meanwhile."""


class Receiver(msgspec.Struct, frozen=True, kw_only=True):
    """The connection that a standby receives WAL through."""

    status: str
    silent_s: float | None
    """How long ago its last message came."""
    sender: str
    """Host and port that it receives from."""
    sent_bytes: int | None
    """How far the end of WAL that its sender last reported is ahead of what is replayed."""


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """How far a standby is."""

    received: str | None
    """The end of what came through a receiver since the start; None where nothing did, as with log shipping."""
    replayed: str | None
    unreplayed_bytes: int | None
    """What was received and is not replayed."""
    replayed_age_s: float | None
    """How long ago the last transaction that it replayed was committed; grows while its primary is idle, too."""
    pause: str
    """`not paused`, `pause requested` or `paused`."""
    delay_s: float
    """`recovery_min_apply_delay`."""
    receiver_timeout_s: float
    """`wal_receiver_timeout`; 0 is never."""
    follows: bool | None
    """Whether primary_conninfo is set; None where that is hidden."""
    caught_up_s: float | None = None
    """As for a sender: of what had come, or was on its way, when it was first looked at."""


class Replication(msgspec.Struct, frozen=True, kw_only=True):
    """A server's place in its replication."""

    standby: bool
    senders: tuple[Sender, ...]
    sender_timeout_s: float
    """`wal_sender_timeout`; 0 is never."""
    receiver: Receiver | None
    replay: Replay | None
    """None on a primary."""


@dataclass(frozen=True)
class ReadReplication(ServerQuery[Replication], name="postgres.replication"):
    """What a server sends, and what it receives when it is a standby."""

    what = "whether this is a primary or a standby, its replicas, and its own replay"

    needs = (READ_SESSIONS, READ_SETTINGS)


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """A replication slot: a position in the WAL that is kept for a consumer."""

    name: str
    logical: bool
    temporary: bool
    active: bool
    synced: bool
    """Whether a standby copied it from its primary; it is inactive there by design."""
    restart_lsn: str | None
    """From where on it keeps WAL; None for one that was never used, and keeps none."""
    retained_bytes: int | None
    wal_status: str | None
    """`reserved`, `extended`, `unreserved` or `lost`; None before PostgreSQL 13, and while it keeps none."""
    safe_bytes: int | None
    """How much can be written until it may be lost: 0 is the worst. None without a limit, and when it is lost."""
    invalid: str | None
    """Why a standby or the server invalidated it: conflict, or the server's own word."""
    inactive_since: Timestamp | None
    """From PostgreSQL 17 on."""


class Slots(msgspec.Struct, frozen=True, kw_only=True):
    """The slots of a server."""

    epoch: str
    """System identifier and timeline: another server has other slots of the same names."""
    taken_at: Timestamp
    """The server's own clock."""
    keep_bytes: int | None
    """`max_slot_wal_keep_size`; None when there is no limit to what slots keep."""
    slots: tuple[Slot, ...]


@dataclass(frozen=True)
class ReadSlots(ServerQuery[Slots], name="postgres.slots", remembered=True):
    """What a server keeps for those that replicate from it."""

    what = "the replication slots, and the WAL that each holds back"


NamePatterns = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]

_OF_REPLICATION = ("role", "lag", "lag_bytes", "replicas", "minimum", "sync")
_OF_SLOTS = ("slots", "slot_inactive", "slot_retained", "slot_safe", "slot_unlimited")

FIND_SERVER = Remedy("Find out whether there was a failover, and name the right server in the target's dsn")
CONNECT = Remedy("Bring the replica back: its log and pg_hba.conf, the network, its disk, long queries on it")
# `psql -c` does not replace variables; what it reads from a pipe it does.
SHOW_SLOT_OF_REPLICA = Remedy(
    "Find out whether its slot still keeps the WAL that it lacks",
    'echo "select slot_name, active, restart_lsn, wal_status from pg_replication_slots '
    "where slot_name = :'name'\" | psql {{ dsn }} -v name={{ replica }}  # no row, or lost: it must be built anew",
)
SHOW_REPLICA = Remedy(
    "Find out where it stands still",
    'echo "select client_addr, state, sent_lsn, write_lsn, flush_lsn, replay_lsn, write_lag, flush_lag, '
    "replay_lag, reply_time from pg_stat_replication where application_name = :'name'\" "
    "| psql {{ dsn }} -v name={{ replica }}"
    "  # the first that stands still: network, its disk, or its replay",
)
SHOW_REPLAY = Remedy(
    "Find out what its replay waits for: long queries on it, its disk, or a change that takes long",
    "echo \"select pg_last_wal_replay_lsn() - :'lsn' as replayed_since\" | psql {{ dsn }} -v lsn={{ lsn }}",
    'echo "select pid, usename, application_name, state, xact_start from pg_stat_activity '
    "where backend_type = 'client backend' and backend_xmin is not null and pg_last_wal_replay_lsn() >= :'lsn' "
    'order by xact_start limit 10" | psql {{ dsn }} -v lsn={{ lsn }}  # what replay may wait for',
)
RESUME = Remedy(
    "Resume its replay when the reason for the pause is over",
    "echo \"select pg_wal_replay_resume() where pg_is_wal_replay_paused() and pg_last_wal_replay_lsn() = :'lsn'\" "
    "| psql {{ dsn }} -v lsn={{ lsn }}",
)
SHOW_RECEIVER = Remedy(
    "Connect it to its primary again: its log says why it cannot",
    "echo \"select status, sender_host, sender_port, pg_last_wal_receive_lsn() > :'lsn' as receives_again "
    'from pg_stat_wal_receiver" | psql {{ dsn }} -v lsn={{ lsn }}  # no row: its log says why it cannot connect',
)
CREATE_SLOT = Remedy("Create the slot again, and build its consumer from a new copy")
SHOW_SLOT = Remedy(
    "Bring the consumer of the slot back",
    'echo "select slot_type, active, restart_lsn, pg_size_pretty(case when pg_is_in_recovery() '
    "then pg_last_wal_receive_lsn() else pg_current_wal_lsn() end - restart_lsn) as retained "
    "from pg_replication_slots where slot_name = :'slot'\" | psql {{ dsn }} -v slot={{ slot }}",
)
_DROP_SLOT = "echo \"select pg_drop_replication_slot(:'slot')\" | psql {{ dsn }} -v slot={{ slot }}"
DROP_SLOT = Remedy(
    "Drop the slot only when its consumer is gone for good",
    f"{_DROP_SLOT}  # WARNING: only when its consumer never comes back: it would have to be built anew",
)
DROP_LOST_SLOT = Remedy(
    "Drop the slot, and build its consumer again with a new one",
    f"{_DROP_SLOT}  # WARNING: its consumer is behind for ever already; build that anew, and a slot for it",
)
SET_KEEP_SIZE = Remedy(
    "Set a max_slot_wal_keep_size that the disk has room for",
    "echo \"alter system set max_slot_wal_keep_size = :'size'; select pg_reload_conf()\" "
    "| psql {{ dsn }} -v size={{ keep_size }}  # WARNING: a consumer that is behind by more is lost from then on",
)


class PostgresReplication(InServer, check="postgres.replication"):
    """
    Replicas are connected and within the lag limits, and no slot retains too much WAL.

    On a primary its replicas are judged, on a standby its own receiver and replay as well, by what the server says it
    is. What proves nothing does not pass: a primary without any replica violates `lag`, and so does a standby that no
    longer receives, although it has replayed all that it got, or whose replay is paused. An idle primary is no lag: the
    time since a standby's last transaction counts only while there is something that it has not replayed, and a replica
    that replayed all has none, though its replay_lag is NULL. What is not graded itself is as bad as `severity`, or as
    the worst of the limits.
    """

    any_limit_of = (*_OF_REPLICATION, *_OF_SLOTS)
    remedies = (
        FIND_SERVER,
        CONNECT,
        SHOW_SLOT_OF_REPLICA,
        SHOW_REPLICA,
        SHOW_REPLAY,
        RESUME,
        SHOW_RECEIVER,
        CREATE_SLOT,
        SHOW_SLOT,
        DROP_SLOT,
        DROP_LOST_SLOT,
        SET_KEEP_SIZE,
    )
    fact_names: ClassVar = {
        "replica": "application_name of a replica",
        "lsn": "how far a standby had received or replayed",
        "slot": "a slot",
        "keep_size": "a max_slot_wal_keep_size that might be set",
    }
    former_fact_names: ClassVar = {
        "missing": Former("replica", SHOW_SLOT_OF_REPLICA),
        "replayed": Former("lsn", SHOW_REPLAY),
        "paused_at": Former("lsn", RESUME),
        "cut_off": Former("lsn", SHOW_RECEIVER),
        "lost_slot": Former("slot", DROP_LOST_SLOT),
    }

    role: Literal["primary", "standby", "any"] | None = None
    """What the server must be; `any` by default."""
    lag: Graded[Duration] | None = None
    """How far a replica's replay, or a standby's own, may be behind in time."""
    lag_bytes: Graded[ByteSize] | None = None
    """How much WAL may not be replayed yet, by a replica or by the standby itself."""
    replicas: NamePatterns | None = None
    """
    The replicas that must be connected, by their application_name, with `*` and `?`; each must match at least one.

    Only these are then judged. Without it all are but logical subscribers and backup tools (pg_basebackup,
    pg_receivewal, pg_rewind), which are replicas only where their exact name stands here.
    """
    minimum: CountLeft | None = None
    """How many replicas must be connected."""
    state: Literal["streaming", "catchup"] = "streaming"
    """What a replica must do to count: stream, or at least catch up."""
    sync: CountLeft | None = None
    """How many replicas must be synchronous (sync_state `sync` or `quorum`); without any a commit may wait for ever."""
    silence: Timeout | None = None
    """
    For how long a replica, or a standby's sender, may say nothing.

    By default the server's own wal_sender_timeout and wal_receiver_timeout, or 60s. An idle line is only tested
    after half of wal_receiver_timeout, so it should be longer than that.
    """
    log_shipping: bool = False
    """
    True for a standby that is fed from an archive, without a receiver.

    Its lag is then the age of the last transaction it replayed, which also grows while the primary is idle.
    """
    slots: NamePatterns | None = None
    """The slots that must be there, with `*` and `?`; each must match at least one. Only these are then judged."""
    slot_inactive: Graded[Duration] | None = None
    """
    How long a slot may be without a consumer.

    PostgreSQL tells from 17 on; before, opscheck goes by what it saw in earlier runs (`--state`). A standby's
    copies of its primary's slots are inactive by design.
    """
    slot_retained: Graded[ByteSize] | None = None
    """How much WAL a slot may hold back."""
    slot_safe: BytesLeft | None = None
    """How much can still be written before a slot may be lost; judged where max_slot_wal_keep_size is set."""
    slot_unlimited: Severity | None = None
    """How bad it is that slots may hold back WAL until the disk is full: max_slot_wal_keep_size is -1."""

    @property
    def judges_replication(self) -> bool:
        """Whether it has limits on replicas or on the standby itself."""
        return any(getattr(self, name) is not None for name in _OF_REPLICATION)

    @property
    def judges_slots(self) -> bool:
        """Whether it has limits on slots."""
        return any(getattr(self, name) is not None for name in _OF_SLOTS)

    @property
    def needs_a_replica(self) -> bool:
        """Whether a primary without any replica proves it violated: no lag is not a small lag."""
        named = self.replicas is not None or self.minimum is not None
        return not named and (self.lag is not None or self.lag_bytes is not None)

    @property
    def mild_slot_severity(self) -> Severity:
        """How bad a slot is that may be lost soon: as the first step of its limits."""
        limits = self.limits()
        return max((limits[name].steps[0][0] for name in _OF_SLOTS if name in limits), default=self.ungraded_severity)

    def queries(self) -> Iterable[Query[Any]]:
        """The server's place in its replication, and its slots, where there are limits on them."""
        if self.judges_replication:
            yield self.replication
        if self.judges_slots:
            yield self.kept

    @property
    def replication(self) -> ReadReplication:
        """Its replicas, and its own replay."""
        return ReadReplication(self.target.name)

    @property
    def kept(self) -> ReadSlots:
        """Its slots."""
        return ReadSlots(self.target.name)

    def _graded_severities(self) -> list[Severity]:
        return [*super()._graded_severities(), *([self.slot_unlimited] if self.slot_unlimited else [])]

    @model_validator(mode="after")
    def _any_role_is_no_limit(self) -> Self:
        others = (*_OF_REPLICATION[1:], *_OF_SLOTS)
        if self.role == "any" and all(getattr(self, name) is None for name in others):
            raise PydanticCustomError("limit_missing", "a limit beside `role: any`, without which it could never fail")
        return self
