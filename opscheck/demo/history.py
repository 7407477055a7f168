"""The past of the demo's system: a week of work, and a backup of each night."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg

from opscheck.demo import backup_jobs, tables
from opscheck.demo.backups import CONFIGURATION, DATABASE, LOGS, Backup
from opscheck.demo.dumps import as_if_made, configuration, dump, log
from opscheck.demo.kubernetes import World
from opscheck.demo.postgres import PostgreSQL
from opscheck.transport.processes import ServerFailed

_NIGHTS = 7
_AT_NIGHT = 2
_KEPT_ALL_FOR = timedelta(hours=6)
_FIRST_WORKFLOWS, _WORKFLOWS_A_DAY, _WORKFLOWS_SINCE = 600, 60, 25
_DAY = timedelta(days=1)
LOGS_SHIPPED_EVERY = timedelta(minutes=1)
_LOGS_SHIPPED = 10


def a_week(server: PostgreSQL, now: datetime) -> list[Backup]:
    """
    Write the application's tables day by day, and dump them each night and now.

    Dumps of every half-hour exist too, for the last hours.
    """
    tables.create(server)
    nights = _nights(now)
    tables.work(server, _FIRST_WORKFLOWS, until=nights[0] - _DAY, over=30 * _DAY)
    backups = [_night(server, at) for at in nights]
    backups += _half_hours(backups[-1].content, now)
    tables.work(server, _WORKFLOWS_SINCE, until=now, over=now - nights[-1])
    backups.append(Backup(DATABASE, as_if_made(dump(server), now), now))
    tables.look_after(server)
    return sorted(backups, key=lambda backup: backup.at)


def configurations(world: World, now: datetime) -> list[Backup]:
    """The cluster's objects as they were saved each day."""
    newest = now - backup_jobs.CONFIGURATION_BEFORE
    days = [newest - day * _DAY for day in reversed(range(_NIGHTS))]
    return [Backup(CONFIGURATION, configuration(world, at), at) for at in days]


def shipped_logs(now: datetime) -> list[Backup]:
    """The application's log of the last minutes, one file per minute."""
    return [ship_log(now - minute * LOGS_SHIPPED_EVERY) for minute in reversed(range(_LOGS_SHIPPED))]


def ship_log(at: datetime) -> Backup:
    """The log of the minute before `at`."""
    return Backup(LOGS, log(at), at)


def go_on(server: PostgreSQL, world: World, namespace: str) -> Backup:
    """Write more rows, and dump the database again. Raises ServerFailed."""
    now = datetime.now(UTC).replace(microsecond=0)
    try:
        tables.work(server, _WORKFLOWS_SINCE, until=now, over=backup_jobs.EVERY)
    except psycopg.Error as error:
        raise ServerFailed(f"PostgreSQL: {error}") from error
    made = Backup(DATABASE, dump(server), now)
    backup_jobs.record(world, namespace, now)
    return made


def _nights(now: datetime) -> list[datetime]:
    last = now.replace(hour=_AT_NIGHT, minute=0, second=0, microsecond=0)
    last -= _DAY if last >= now else timedelta()
    return [last - night * _DAY for night in reversed(range(_NIGHTS))]


def _night(server: PostgreSQL, at: datetime) -> Backup:
    tables.work(server, _WORKFLOWS_A_DAY, until=at, over=_DAY)
    return Backup(DATABASE, as_if_made(dump(server), at), at)


def _half_hours(last_night: bytes, now: datetime) -> Iterator[Backup]:
    """The dumps of today. Their content is that of the last night: no check compares them."""
    for number in range(_KEPT_ALL_FOR // backup_jobs.EVERY, 0, -1):
        at = now - number * backup_jobs.EVERY
        yield Backup(DATABASE, as_if_made(last_night, at), at)
