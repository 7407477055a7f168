"""Readers of pgBackRest and Barman: a host runs only their commands that list backups."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from time import monotonic
from typing import Protocol, TypeVar

import msgspec

from opscheck.core.masking import mask_secrets
from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.backup.tools import (
    BarmanBackup,
    BarmanCatalogue,
    BarmanServer,
    PgbackrestArchive,
    PgbackrestBackup,
    PgbackrestInfo,
    PgbackrestRepository,
    PgbackrestStanza,
    ReadBarman,
    ReadPgbackrest,
)
from opscheck.systems.host.probe.commands import KILLED, NOT_FOUND, Finished

T = TypeVar("T")


class Host(Protocol):
    """A host's session: it runs scripts."""

    def run(self, script: str, arguments: tuple[str, ...], timeout_s: float) -> Finished:
        """Run `script` in the host's shell. Raises ProbeError when it does not run or does not end in time."""
        ...


# The share of the time limit after which the tool is killed on the host itself.
_SHARE = 0.8

# $1 is the time limit in seconds; the rest is the command. `timeout -t` is the syntax of busybox before 1.30.
_RUN = """
LC_ALL=C; export LC_ALL; limit=; seconds=$1; shift;
if timeout -s KILL 1 true 2>/dev/null; then limit="timeout -s KILL $seconds";
elif timeout -t 1 -s KILL true 2>/dev/null; then limit="timeout -t $seconds -s KILL"; fi;
date +%s; $limit "$@"; exit $?
"""
# A log on the console would precede the JSON, and only pgBackRest itself should write its log file.
_INFO = ("info", "--output=json", "--log-level-console=off", "--log-level-stderr=error", "--log-level-file=off")
_BARMAN = ("--format", "json")
_FORBIDDEN = 126

_DENIED = re.compile(r"permission denied|not permitted|password is required|not allowed|sudoers", re.IGNORECASE)
_SUDO = re.compile(r"^sudo: .*password", re.MULTILINE)
_ANOTHER_USER = "name a user in the uri who may, as with ?sudo=true&sudo_user=postgres, or the whole `command`"
_SHOWN = 300


# The fields of the answers that are read; others are ignored.


class _Times(msgspec.Struct, frozen=True):
    start: int
    stop: int


class _Wal(msgspec.Struct, frozen=True):
    stop: str | None = None


class _Database(msgspec.Struct, frozen=True):
    id: int = 1
    number: int = msgspec.field(default=1, name="repo-key")


class _Backup(msgspec.Struct, frozen=True):
    label: str
    type: str
    timestamp: _Times
    error: bool | None = None
    reference: tuple[str, ...] | None = None
    archive: _Wal | None = None
    database: _Database = _Database()


class _Archive(msgspec.Struct, frozen=True):
    max: str | None = None
    database: _Database = _Database()


class _Held(msgspec.Struct, frozen=True):
    held: bool = False


class _Lock(msgspec.Struct, frozen=True):
    backup: _Held | None = None


class _Status(msgspec.Struct, frozen=True):
    code: int
    message: str = ""
    lock: _Lock | None = None


class _Repository(msgspec.Struct, frozen=True):
    status: _Status
    key: int = 1


class _Stanza(msgspec.Struct, frozen=True):
    name: str
    status: _Status
    archive: tuple[_Archive, ...] = ()
    backup: tuple[_Backup, ...] = ()
    repo: tuple[_Repository, ...] | None = None


def read_pgbackrest(session: Host, query: ReadPgbackrest, timeout_s: float) -> PgbackrestInfo:
    """The stanzas of pgBackRest. Raises ProbeError."""
    taken_at, output = _answer(session, (*query.command, *_INFO), timeout_s)
    raw = _decoded(output, tuple[_Stanza, ...], query.command)
    return PgbackrestInfo(taken_at=taken_at, stanzas=tuple(map(_stanza, raw)))


def _stanza(raw: _Stanza) -> PgbackrestStanza:
    lock = raw.status.lock and raw.status.lock.backup
    # Before 2.32 there was one repository, and its status was that of the stanza.
    repositories = raw.repo if raw.repo is not None else (_Repository(status=raw.status),)
    return PgbackrestStanza(
        name=raw.name,
        code=raw.status.code,
        message=_one_line(raw.status.message),
        running=bool(lock and lock.held),
        repositories=tuple(_repository(raw, one) for one in repositories),
    )


def _repository(raw: _Stanza, one: _Repository) -> PgbackrestRepository:
    return PgbackrestRepository(
        number=one.key,
        code=one.status.code,
        message=_one_line(one.status.message),
        backups=tuple(_backup(backup) for backup in raw.backup if backup.database.number == one.key),
        archives=tuple(
            PgbackrestArchive(database=archive.database.id, newest=archive.max or "")
            for archive in raw.archive
            if archive.database.number == one.key
        ),
    )


def _backup(raw: _Backup) -> PgbackrestBackup:
    return PgbackrestBackup(
        label=raw.label,
        type=raw.type,
        began_at=_moment(raw.timestamp.start),
        ended_at=_moment(raw.timestamp.stop),
        damaged=bool(raw.error),
        needs=raw.reference or (),
        wal_until=(raw.archive and raw.archive.stop) or "",
        database=raw.database.id,
    )


class _Listed(msgspec.Struct, frozen=True):
    backup_id: str
    status: str
    backup_type: str = ""
    end_time_timestamp: str | None = None


class _BaseBackup(msgspec.Struct, frozen=True):
    begin_time_timestamp: str | None = None


class _Shown(msgspec.Struct, frozen=True):
    backup_id: str = ""
    base_backup_information: _BaseBackup | None = None


def read_barman(session: Host, query: ReadBarman, timeout_s: float) -> BarmanCatalogue:
    """
    The backups of Barman, with the start times of the newest good one and the newest full one of each server.

    Its lists contain only the ends of backups. Raises ProbeError.
    """
    command, ends = (*query.command, *_BARMAN), monotonic() + timeout_s

    def answer(*words: str) -> tuple[datetime, bytes]:
        left = ends - monotonic()
        if left <= 0:
            raise ProbeError(ProblemKind.LATE, f"not every backup was listed in {timeout_s:g} s", "raise `timeout`")
        return _answer(session, (*command, *words), left)

    taken_at, output = answer("list-backup", "all")
    servers = []
    for name, backups in sorted(_by_server(output, tuple[_Listed, ...], command).items()):
        if query.servers and name not in query.servers:
            continue
        shown = {one: answer("show-backup", name, one)[1] for one in _newest_ids(backups)}
        began = {one: _began(_by_server(output, _Shown, command).get(name)) for one, output in shown.items()}
        made = tuple(
            BarmanBackup(
                id=backup.backup_id,
                type=backup.backup_type,
                status=backup.status,
                began_at=began.get(backup.backup_id),
                ended_at=_seconds(backup.end_time_timestamp),
            )
            for backup in backups
        )
        servers.append(BarmanServer(name=name, backups=made))
    return BarmanCatalogue(taken_at=taken_at, servers=tuple(servers))


def _newest_ids(backups: Iterable[_Listed]) -> set[str]:
    """The newest good backup and the newest good full one, by their ends."""
    good = [one for one in backups if one.status == "DONE"]
    good.sort(key=lambda one: (int(one.end_time_timestamp or 0), one.backup_id))
    full = [one for one in good if one.backup_type != "incremental"]
    return {kind[-1].backup_id for kind in (good, full) if kind}


def _began(shown: _Shown | None) -> datetime | None:
    information = shown and shown.base_backup_information
    return _seconds(information.begin_time_timestamp) if information else None


def _answer(session: Host, command: tuple[str, ...], timeout_s: float) -> tuple[datetime, bytes]:
    """The host's time, and the output of the command. Raises ProbeError."""
    seconds = str(max(1, int(timeout_s * _SHARE)))
    finished = session.run(_RUN, (seconds, *command), timeout_s)
    clock, _, output = finished.stdout.partition(b"\n")
    if not clock.isdigit():
        raise _unreadable(command, finished.stdout)
    if finished.status in KILLED:
        raise ProbeError(ProblemKind.LATE, f"{command[0]} did not end in {seconds} s", "raise `timeout`")
    if finished.status != 0:
        raise _failed(command, finished, output)
    return _moment(int(clock)), output


def _failed(command: tuple[str, ...], finished: Finished, output: bytes) -> ProbeError:
    raw = (finished.stderr.strip() or output).decode(errors="replace")
    # Masking would remove this whole message.
    text = "sudo wants a password there" if _SUDO.search(raw) else _one_line(raw)
    if finished.status == NOT_FOUND:
        advice = "name the host where it keeps its backups, or say `command` with its path"
        return ProbeError(ProblemKind.UNSUPPORTED, f"{command[0]} is not installed there", advice)
    if finished.status == _FORBIDDEN or _DENIED.search(raw):
        return ProbeError(ProblemKind.DENIED, text or f"{command[0]} may not be run there", _ANOTHER_USER)
    return ProbeError(ProblemKind.UNREADABLE, f"{command[0]} ended with {finished.status}: {text}")


def _by_server(output: bytes, each: type[T], command: tuple[str, ...]) -> dict[str, T]:
    """The part of Barman's answer about each server. Raises ProbeError for an error in it."""
    whole = _decoded(output, dict[str, msgspec.Raw], command)
    for name in ("_ERROR", "_EXCEPTION"):
        if name in whole:
            raise ProbeError(ProblemKind.UNREADABLE, f"{command[0]} says: {_one_line(bytes(whole[name]).decode())}")
    return {name: _decoded(bytes(raw), each, command) for name, raw in whole.items() if not name.startswith("_")}


def _decoded(output: bytes, kind: type[T], command: tuple[str, ...]) -> T:
    try:
        return msgspec.json.decode(output, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _unreadable(command, output, str(error)) from None


def _unreadable(command: tuple[str, ...], output: bytes, why: str = "") -> ProbeError:
    start = mask_secrets(output[:60].decode(errors="replace").split("\n")[0])
    reason = f" ({why})" if why else ""
    text = f"{command[0]} answered what it never does{reason}; it starts with {start!r}"
    return ProbeError(ProblemKind.UNREADABLE, text, "does a login script over there print something?")


def _seconds(raw: str | None) -> datetime | None:
    return _moment(int(raw)) if raw and raw.isdigit() else None


def _moment(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        raise ProbeError(ProblemKind.UNREADABLE, f"{seconds} is not a time") from None


def _one_line(text: str) -> str:
    line = mask_secrets("; ".join(part.strip() for part in text.splitlines() if part.strip()))
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"
