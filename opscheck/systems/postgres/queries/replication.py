"""What a server says of its replication: what it sends, what it receives, what it keeps for others."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec

from opscheck.systems.postgres.queries.base import READ_SESSIONS, READ_SETTINGS, PostgresQuery

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


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
    """What is not replayed yet; not written, for one that never replays anything. None before it said anything."""
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
    """How far what its sender last told of is ahead of what is replayed."""


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
class ReadReplication(PostgresQuery[Replication], name="postgres.replication"):
    """What a server sends, and what it receives when it is a standby."""

    needs = (READ_SESSIONS, READ_SETTINGS)

    def text(self) -> str:
        """For people."""
        return "whether this is a primary or a standby, its replicas, and its own replay"


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """A place in the WAL that is kept for somebody."""

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
    inactive_since: Moment | None
    """From PostgreSQL 17 on."""


class Slots(msgspec.Struct, frozen=True, kw_only=True):
    """The slots of a server."""

    epoch: str
    """System identifier and timeline: another server has other slots of the same names."""
    taken_at: Moment
    """The server's own clock."""
    keep_bytes: int | None
    """`max_slot_wal_keep_size`; None when there is no limit to what slots keep."""
    slots: tuple[Slot, ...]


@dataclass(frozen=True)
class ReadSlots(PostgresQuery[Slots], name="postgres.slots", remembered=True):
    """What a server keeps for those that replicate from it."""

    def text(self) -> str:
        """For people."""
        return "the replication slots, and the WAL that each holds back"
