"""The replicas that a server sends its WAL to."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeAlias

from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import ByteSize, Duration, format_bytes
from opscheck.systems.postgres.replication import ReadReplication, Replication, Sender

DEFAULT_SILENCE = 60.0
# They copy or store WAL and cannot take over.
_TOOLS = frozenset({"pg_basebackup", "pg_receivewal", "pg_rewind"})
_WILD = frozenset("*?[")
# A base backup under any name, or a client that has not requested WAL yet.
_NO_STREAM = frozenset({"backup", "startup"})
_SYNCHRONOUS = frozenset({"sync", "quorum"})

Names: TypeAlias = tuple[str, ...] | None
"""The expected replicas, by names or patterns; None means all connected ones."""


@dataclass(frozen=True)
class Replica:
    """One replica, and its progress."""

    sender: Sender
    subject: str
    in_state: bool
    """True if it is in the state that the policy expects."""

    @property
    def facts(self) -> dict[str, str]:
        """The facts for remediation commands."""
        return {"replica": self.sender.application} if self.sender.application else {}

    @property
    def synchronous(self) -> bool:
        """True if a commit waits for it, alone or with others."""
        return self.sender.sync_state in _SYNCHRONOUS

    @property
    def detail(self) -> str:
        """The WAL that is not sent, flushed and replayed."""
        sender = self.sender
        sizes = {"sent": sender.unsent_bytes, "flushed": sender.unflushed_bytes, "replayed": sender.behind_bytes}
        parts = [f"{format_bytes(size)} not {what}" for what, size in sizes.items() if size is not None]
        return ", ".join([sender.state, *parts])


def replicas(answer: Replication, patterns: Names, state: str) -> list[Replica]:
    """The judged replicas: those of the policy, or all copies of the server."""
    judged = [sender for sender in answer.senders if _is_judged(sender, patterns)]
    names = [sender.application for sender in judged]
    return [
        Replica(
            sender, _subject(sender, alone=names.count(sender.application) == 1), sender.state in ("streaming", state)
        )
        for sender in judged
    ]


def missing_names(answer: Replication, patterns: Names) -> list[str]:
    """The patterns of the policy that match no connected replica."""
    return [one for one in patterns or () if not any(_matches(one, sender) for sender in answer.senders)]


def missing_facts(pattern: str) -> dict[str, str]:
    """The facts for remediation commands about a missing replica: its name, unless it is a pattern."""
    return {} if _WILD & set(pattern) else {"missing": pattern}


def connected(senders: Iterable[Sender]) -> list[str]:
    """All connected clients, one line each, for evidence."""
    lines = []
    for sender in senders:
        slot = f", slot {sender.slot}" if sender.slot else ""
        name, client = sender.application or "without a name", sender.client or "a Unix socket"
        lines.append(f"{name} from {client}: {sender.state}, {sender.sync_state or 'async'}{slot}")
    return lines


def silence(answer: Replication, replica: Replica, limit: Duration | None) -> tuple[Duration, Duration] | None:
    """The time since its last reply, and the limit; None within the limit."""
    allowed = limit or answer.sender_timeout_s or DEFAULT_SILENCE
    silent = replica.sender.silent_s or 0.0
    return (Duration(silent), Duration(allowed)) if silent > allowed else None


def behind_bytes(query: ReadReplication, replica: Replica) -> ByteSize:
    """The WAL that it has not replayed. Raises CouldNotObserve before its first reply."""
    if replica.sender.behind_bytes is not None:
        return ByteSize(max(0, replica.sender.behind_bytes))
    if replica.sender.caught_up_s is not None:
        return ByteSize(0)
    raise _unknown(query, f"{replica.subject} has not reported its replay position yet")


def lag(query: ReadReplication, replica: Replica) -> Duration:
    """
    Its lag in time. Raises CouldNotObserve where that is unknown.

    For a replica that has replayed everything since, the lag is at most the time that this took. Its replay_lag is
    ignored: it is NULL on an idle connection.
    """
    sender = replica.sender
    if sender.caught_up_s is not None:
        return Duration(sender.caught_up_s)
    if sender.lag_s is None:
        raise _unknown(query, f"{replica.subject} is behind, and its replay_lag is not reported yet")
    return Duration(max(0.0, sender.lag_s))


def unflushed(query: ReadReplication, replica: Replica) -> Duration:
    """
    The maximum age of changes that are not on its disk: the data loss if the replica takes over now.

    Replayed changes are on its disk. Otherwise flush_lag, measured at its last reply, plus the time since then; it is
    NULL when everything was on its disk. Raises CouldNotObserve before its first reply.
    """
    sender = replica.sender
    if sender.unflushed_bytes is None:
        raise _unknown(query, f"{replica.subject} has not reported its flush position yet")
    if sender.unflushed_bytes <= 0:
        return Duration(0)
    if sender.caught_up_s is not None:
        return Duration(sender.caught_up_s)
    return Duration(max(0.0, sender.flush_lag_s or 0.0) + max(0.0, sender.silent_s or 0.0))


def _unknown(query: ReadReplication, text: str) -> CouldNotObserve:
    return CouldNotObserve(query, Problem(kind=ProblemKind.UNREADABLE, text=text))


def _is_judged(sender: Sender, patterns: Names) -> bool:
    return not _is_no_copy(sender) if patterns is None else any(_matches(one, sender) for one in patterns)


def _matches(pattern: str, sender: Sender) -> bool:
    # A pattern matches servers only; a tool or a subscriber needs its exact name.
    return sender.application == pattern or (not _is_no_copy(sender) and fnmatchcase(sender.application, pattern))


def _is_no_copy(sender: Sender) -> bool:
    return sender.logical or sender.application in _TOOLS or sender.state in _NO_STREAM


def _subject(sender: Sender, *, alone: bool) -> str:
    name = f"replica {sender.application or 'without a name'}"
    return name if alone else f"{name} from {sender.client or 'a Unix socket'} (pid {sender.pid})"
