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
    """True if it decodes WAL for a subscriber, and is not a copy of the server."""
    unsent_bytes: int | None
    unflushed_bytes: int | None
    behind_bytes: int | None
    """WAL that is not replayed (not flushed, for a client that never replays). None before its first reply."""
    lag_s: float | None
    """The server's estimate; None on an idle connection and before the first replies."""
    silent_s: float | None
    """Time since its last reply, by its own clock."""
    flush_lag_s: float | None = None
    """The server's estimate of the time until WAL is on its disk; None as for `lag_s`."""
    caught_up_s: float | None = None
    """Time after which it had replayed the WAL of the first look; None when it did not."""


class Receiver(msgspec.Struct, frozen=True, kw_only=True):
    """The connection that a standby receives WAL through."""

    status: str
    silent_s: float | None
    """Time since its last message."""
    sender: str
    """Host and port of its sender."""
    sent_bytes: int | None
    """WAL between the end that its sender last reported and the replay position."""


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """The replay of a standby."""

    received: str | None
    """The end of the WAL from a receiver since the start; None without any, as with log shipping."""
    replayed: str | None
    unreplayed_bytes: int | None
    """WAL that was received and is not replayed."""
    replayed_age_s: float | None
    """Age of the last replayed transaction; it also grows while the primary is idle."""
    pause: str
    """`not paused`, `pause requested` or `paused`."""
    delay_s: float
    """`recovery_min_apply_delay`."""
    receiver_timeout_s: float
    """`wal_receiver_timeout`; 0 is never."""
    follows: bool | None
    """True if primary_conninfo is set; None where that is hidden."""
    caught_up_s: float | None = None
    """As for a sender: of the WAL that was received or reported at the first look."""


class Replication(msgspec.Struct, frozen=True, kw_only=True):
    """A server's senders, receiver and replay."""

    standby: bool
    senders: tuple[Sender, ...]
    sender_timeout_s: float
    """`wal_sender_timeout`; 0 is never."""
    receiver: Receiver | None
    replay: Replay | None
    """None on a primary."""


@dataclass(frozen=True)
class ReadReplication(ServerQuery[Replication], name="postgres.replication"):
    """The replication of a server: its senders, and on a standby its receiver and replay."""

    what = "the server's role (primary or standby), its replicas, and its own replay"

    needs = (READ_SESSIONS, READ_SETTINGS)


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """A replication slot: a position in the WAL that is kept for a consumer."""

    name: str
    logical: bool
    temporary: bool
    active: bool
    synced: bool
    """True if a standby copied it from its primary; it is inactive there by design."""
    restart_lsn: str | None
    """The start of the WAL that it keeps; None for a slot that was never used and keeps none."""
    retained_bytes: int | None
    wal_status: str | None
    """`reserved`, `extended`, `unreserved` or `lost`; None before PostgreSQL 13 and for a slot without WAL."""
    safe_bytes: int | None
    """WAL that can be written until it may be lost: 0 is the worst. None without a limit, and when it is lost."""
    invalid: str | None
    """The reason for its invalidation: conflict, or the server's own term."""
    inactive_since: Timestamp | None
    """From PostgreSQL 17 on."""


class Slots(msgspec.Struct, frozen=True, kw_only=True):
    """The slots of a server."""

    epoch: str
    """System identifier and timeline: slots of another server are not comparable."""
    taken_at: Timestamp
    """The server's clock."""
    keep_bytes: int | None
    """`max_slot_wal_keep_size`; None without a limit."""
    slots: tuple[Slot, ...]


@dataclass(frozen=True)
class ReadSlots(ServerQuery[Slots], name="postgres.slots", remembered=True):
    """The replication slots of a server."""

    what = "the replication slots, and the WAL that each retains"


NamePatterns = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]

_OF_REPLICATION = ("role", "lag", "lag_bytes", "replicas", "minimum", "sync")
_OF_SLOTS = ("slots", "slot_inactive", "slot_retained", "slot_safe", "slot_unlimited")

FIND_SERVER = Remedy("Check whether a failover happened, and name the right server in the target's dsn")
CONNECT = Remedy("Restore the replica: check its log, pg_hba.conf, the network, its disk, and long queries on it")
# `psql -c` does not replace variables; psql replaces them in its standard input.
SHOW_SLOT_OF_REPLICA = Remedy(
    "Check whether its slot still retains the WAL that it needs",
    'echo "select slot_name, active, restart_lsn, wal_status from pg_replication_slots '
    "where slot_name = :'name'\" | psql {{ dsn }} -v name={{ replica }}  # no row, or lost: rebuild the replica",
)
SHOW_REPLICA = Remedy(
    "Find the step that makes no progress",
    'echo "select client_addr, state, sent_lsn, write_lsn, flush_lsn, replay_lsn, write_lag, flush_lag, '
    "replay_lag, reply_time from pg_stat_replication where application_name = :'name'\" "
    "| psql {{ dsn }} -v name={{ replica }}"
    "  # the first position without progress: the network, its disk, or its replay",
)
SHOW_REPLAY = Remedy(
    "Find the cause of the slow replay: long queries on the standby, its disk, or a long change",
    "echo \"select pg_last_wal_replay_lsn() - :'lsn' as replayed_since\" | psql {{ dsn }} -v lsn={{ lsn }}",
    'echo "select pid, usename, application_name, state, xact_start from pg_stat_activity '
    "where backend_type = 'client backend' and backend_xmin is not null and pg_last_wal_replay_lsn() >= :'lsn' "
    'order by xact_start limit 10" | psql {{ dsn }} -v lsn={{ lsn }}  # queries that may block the replay',
)
RESUME = Remedy(
    "Resume the replay when the pause is not needed",
    "echo \"select pg_wal_replay_resume() where pg_is_wal_replay_paused() and pg_last_wal_replay_lsn() = :'lsn'\" "
    "| psql {{ dsn }} -v lsn={{ lsn }}  # as a superuser",
)
SHOW_RECEIVER = Remedy(
    "Reconnect it to its primary; its log has the reason",
    "echo \"select status, sender_host, sender_port, pg_last_wal_receive_lsn() > :'lsn' as receives_again "
    'from pg_stat_wal_receiver" | psql {{ dsn }} -v lsn={{ lsn }}  # no row: see its log',
)
CREATE_SLOT = Remedy("Create the slot again, and rebuild its consumer from a new copy")
SHOW_SLOT = Remedy(
    "Restore the consumer of the slot",
    'echo "select slot_type, active, restart_lsn, pg_size_pretty(case when pg_is_in_recovery() '
    "then pg_last_wal_receive_lsn() else pg_current_wal_lsn() end - restart_lsn) as retained "
    "from pg_replication_slots where slot_name = :'slot'\" | psql {{ dsn }} -v slot={{ slot }}",
)
_DROP_SLOT = "echo \"select pg_drop_replication_slot(:'slot')\" | psql {{ dsn }} -v slot={{ slot }}"
DROP_SLOT = Remedy(
    "Drop the slot only if its consumer is gone forever",
    f"{_DROP_SLOT}  # as a superuser; WARNING: only if its consumer never returns; it would have to be rebuilt",
)
DROP_LOST_SLOT = Remedy(
    "Drop the slot, and rebuild its consumer with a new slot",
    f"{_DROP_SLOT}  # as a superuser; WARNING: its consumer cannot catch up; rebuild it with a new slot",
)
SET_KEEP_SIZE = Remedy(
    "Set a max_slot_wal_keep_size that fits on the disk",
    "echo \"alter system set max_slot_wal_keep_size = :'size'; select pg_reload_conf()\" "
    "| psql {{ dsn }} -v size={{ keep_size }}  # as a superuser; WARNING: a consumer that lags more is lost",
)


class PostgresReplication(InServer, check="postgres.replication"):
    """
    Replicas are connected and within the lag limits, and no slot retains too much WAL.

    On a primary its replicas are judged; on a standby its own receiver and replay as well. A primary without replicas
    violates `lag`; so does a standby that receives no WAL although it has replayed everything, or whose replay is
    paused. An idle primary causes no lag: the time since a standby's last transaction counts only while WAL is not
    replayed. A replica that has replayed everything has no lag, even if its replay_lag is NULL. Violations without a
    severity of their own have `severity`, or the worst severity of the limits.
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
        "lsn": "the receive or replay position of a standby",
        "slot": "a slot",
        "keep_size": "a suggested max_slot_wal_keep_size",
    }
    former_fact_names: ClassVar = {
        "missing": Former("replica", SHOW_SLOT_OF_REPLICA),
        "replayed": Former("lsn", SHOW_REPLAY),
        "paused_at": Former("lsn", RESUME),
        "cut_off": Former("lsn", SHOW_RECEIVER),
        "lost_slot": Former("slot", DROP_LOST_SLOT),
    }

    role: Literal["primary", "standby", "any"] | None = None
    """Required role of the server; `any` by default."""
    lag: Graded[Duration] | None = None
    """Maximum replay lag of a replica, or of the standby itself."""
    lag_bytes: Graded[ByteSize] | None = None
    """Maximum amount of WAL that a replica, or the standby itself, has not replayed."""
    replicas: NamePatterns | None = None
    """
    The replicas that must be connected, by application_name, with `*` and `?`; each must match at least one.

    Only these are then judged. By default all are judged except logical subscribers and backup tools (pg_basebackup,
    pg_receivewal, pg_rewind), which need their exact name here.
    """
    minimum: CountLeft | None = None
    """Minimum number of connected replicas."""
    state: Literal["streaming", "catchup"] = "streaming"
    """State that a replica needs to count: `streaming`, or at least `catchup`."""
    sync: CountLeft | None = None
    """Minimum number of synchronous replicas (sync_state `sync` or `quorum`); without any, commits may hang."""
    silence: Timeout | None = None
    """
    Maximum time since the last message of a replica, or of a standby's sender.

    By default the server's wal_sender_timeout and wal_receiver_timeout, or 60s. It should exceed half of
    wal_receiver_timeout, because an idle connection is only tested then.
    """
    log_shipping: bool = False
    """
    True for a standby that is fed from an archive, without a receiver.

    Its lag is then the age of the last replayed transaction, which also grows while the primary is idle.
    """
    slots: NamePatterns | None = None
    """The slots that must exist, with `*` and `?`; each must match at least one. Only these are then judged."""
    slot_inactive: Graded[Duration] | None = None
    """
    Maximum time that a slot has no consumer.

    PostgreSQL reports it from 17 on; before that, opscheck compares with earlier runs (`--state`). A standby's copies
    of its primary's slots are inactive by design.
    """
    slot_retained: Graded[ByteSize] | None = None
    """Maximum amount of WAL that a slot retains."""
    slot_safe: BytesLeft | None = None
    """Minimum amount of WAL until a slot may be lost; judged where max_slot_wal_keep_size is set."""
    slot_unlimited: Severity | None = None
    """Severity if slots may retain WAL until the disk is full, because max_slot_wal_keep_size is -1."""

    @property
    def judges_replication(self) -> bool:
        """True if it has limits on replicas or on the standby itself."""
        return any(getattr(self, name) is not None for name in _OF_REPLICATION)

    @property
    def judges_slots(self) -> bool:
        """True if it has limits on slots."""
        return any(getattr(self, name) is not None for name in _OF_SLOTS)

    @property
    def needs_a_replica(self) -> bool:
        """True if a primary without replicas violates it: a missing lag is not a small lag."""
        named = self.replicas is not None or self.minimum is not None
        return not named and (self.lag is not None or self.lag_bytes is not None)

    @property
    def mild_slot_severity(self) -> Severity:
        """Severity of a slot that the next checkpoint may lose: the first step of its limits."""
        limits = self.limits()
        return max((limits[name].steps[0][0] for name in _OF_SLOTS if name in limits), default=self.ungraded_severity)

    def queries(self) -> Iterable[Query[Any]]:
        """The replication and the slots, each where it has limits on them."""
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
            raise PydanticCustomError("limit_missing", "a limit in addition to `role: any`, which alone can never fail")
        return self
