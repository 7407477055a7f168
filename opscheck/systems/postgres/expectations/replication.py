"""What can be expected of a server's replication."""

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.expectation import Remediation
from opscheck.core.limits import BytesLeft, CountLeft
from opscheck.core.query import Query
from opscheck.core.units import ByteSize, Duration, Graded, Severity, Timeout
from opscheck.systems.postgres.expectations.base import InServer
from opscheck.systems.postgres.queries.replication import ReadReplication, ReadSlots

NamePatterns = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]

_OF_REPLICATION = ("role", "lag", "lag_bytes", "replicas", "minimum", "sync")
_OF_SLOTS = ("slots", "slot_inactive", "slot_retained", "slot_safe", "slot_unlimited")

# `psql -c` does not replace variables; what it reads from a pipe it does.
_COMMANDS = (
    (
        'echo "select slot_name, active, restart_lsn, wal_status from pg_replication_slots '
        "where slot_name = :'name'\" | psql {{ dsn }} -v name={{ missing }}  # no row, or lost: it must be built anew"
    ),
    (
        'echo "select client_addr, state, sent_lsn, write_lsn, flush_lsn, replay_lsn, write_lag, flush_lag, '
        "replay_lag, reply_time from pg_stat_replication where application_name = :'name'\" "
        "| psql {{ dsn }} -v name={{ replica }}"
        "  # the first that stands still: network, its disk, or its replay"
    ),
    "echo \"select pg_last_wal_replay_lsn() - :'lsn' as replayed_since\" | psql {{ dsn }} -v lsn={{ replayed }}",
    (
        'echo "select pid, usename, application_name, state, xact_start from pg_stat_activity '
        "where backend_type = 'client backend' and backend_xmin is not null and pg_last_wal_replay_lsn() >= :'lsn' "
        'order by xact_start limit 10" | psql {{ dsn }} -v lsn={{ replayed }}  # what replay may wait for'
    ),
    (
        "echo \"select pg_wal_replay_resume() where pg_is_wal_replay_paused() and pg_last_wal_replay_lsn() = :'lsn'\" "
        "| psql {{ dsn }} -v lsn={{ paused_at }}"
    ),
    (
        "echo \"select status, sender_host, sender_port, pg_last_wal_receive_lsn() > :'lsn' as receives_again "
        'from pg_stat_wal_receiver" | psql {{ dsn }} -v lsn={{ cut_off }}  # no row: its log says why it cannot connect'
    ),
    (
        'echo "select slot_type, active, restart_lsn, pg_size_pretty(case when pg_is_in_recovery() '
        "then pg_last_wal_receive_lsn() else pg_current_wal_lsn() end - restart_lsn) as retained "
        "from pg_replication_slots where slot_name = :'slot'\" | psql {{ dsn }} -v slot={{ slot }}"
    ),
    (
        "echo \"select pg_drop_replication_slot(:'slot')\" | psql {{ dsn }} -v slot={{ slot }}"
        "  # WARNING: only when its consumer never comes back: it would have to be built anew"
    ),
    (
        "echo \"select pg_drop_replication_slot(:'slot')\" | psql {{ dsn }} -v slot={{ lost_slot }}"
        "  # WARNING: its consumer is behind for ever already; build that anew, and a slot for it"
    ),
    (
        "echo \"alter system set max_slot_wal_keep_size = :'size'; select pg_reload_conf()\" "
        "| psql {{ dsn }} -v size={{ keep_size }}  # WARNING: a consumer that is behind by more is lost from then on"
    ),
)


class PostgresReplication(InServer, check="postgres.replication"):
    """
    Every replica that should be there is there and near, and nobody makes the server keep WAL for ever.

    On a primary its replicas are judged, on a standby its own receiver and replay as well, by what the server says
    it is. What proves nothing does not pass: a primary without any replica violates `lag`, and so does a standby
    that no longer receives, although it has replayed all that it got, or whose replay is paused. An idle primary is
    no lag: the time since a standby's last transaction counts only while there is something that it has not
    replayed, and a replica that replayed all has none, though its replay_lag is NULL. What is not graded itself is
    as bad as `severity`, or as the worst of the limits.
    """

    any_limit_of = (*_OF_REPLICATION, *_OF_SLOTS)
    # Each kind of trouble has names of its own: a command that names what a finding lacks is left out.
    fact_names: ClassVar = {
        "missing": "application_name of a replica that is not connected",
        "replica": "application_name of a replica that is behind, silent or does not stream",
        "replayed": "how far a standby that lags had replayed, as an LSN",
        "paused_at": "how far a standby had replayed whose replay is paused, as an LSN",
        "cut_off": "how far a standby had received or replayed that receives no more, as an LSN",
        "slot": "a slot that is inactive, or holds back much WAL",
        "lost_slot": "a slot whose WAL is gone",
        "keep_size": "a max_slot_wal_keep_size, when there is no limit",
    }
    default_remediation = Remediation(
        summary=(
            "Bring the replica back: its log and pg_hba.conf, the network, its disk, long queries on it. Drop a slot "
            "only when its consumer is gone for good"
        ),
        commands=_COMMANDS,
    )

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
        """Whether a primary without any replica proves it violated: a lag that nobody has is no small lag."""
        named = self.replicas is not None or self.minimum is not None
        return not named and (self.lag is not None or self.lag_bytes is not None)

    @property
    def mild_slot_severity(self) -> Severity:
        """How bad a slot is that may be lost soon: as the first step of its limits."""
        limits = self.limits()
        return max((limits[name].steps[0][0] for name in _OF_SLOTS if name in limits), default=self.ungraded_severity)

    def looks_at(self) -> Iterable[Query[Any]]:
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
