"""A first policy for the backups that a cluster makes: by cron jobs that are named so, and by Velero."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

from opscheck.core.discovery import Discovery, DiscoveryInput, Look, Proposal, slug
from opscheck.core.findings import Observe
from opscheck.core.observation import CouldNotObserve, ProblemKind
from opscheck.core.units import format_duration
from opscheck.systems.backup.velero import ListVeleroSchedules, Schedule
from opscheck.systems.kubernetes.batch import CronJob, ListCronJobs
from opscheck.systems.kubernetes.discovery import Place, find_place, unread
from opscheck.systems.kubernetes.schedules import UnreadableSchedule, read_schedule

VELERO = "velero"
"""The namespace that Velero installs itself into."""
_NAMED_SO = re.compile(r"backup|(?:^|-)(?:pg-?)?dump(?:$|-)")
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_RUNS = 60
"""So many runs contain the longest pause of a schedule, such as a weekend or February."""


def discover(given: DiscoveryInput, look: Look) -> Discovery:
    """Propose `backup.jobs` for each cron job or schedule of Velero that backs the chosen namespace up."""
    if given.cluster is None:
        return Discovery()
    try:
        place = find_place(given.cluster, look)
    except CouldNotObserve:
        return Discovery()  # the discovery of kubernetes reports it
    return _proposed(place, look, given.today)


def _proposed(place: Place, look: Look, today: date) -> Discovery:
    cronjobs = ListCronJobs(place.target.name, place.target.namespace)
    schedules = ListVeleroSchedules(place.target.name, VELERO)
    observe = look(place.target, [cronjobs, schedules])
    not_seen, proposals = list[str](), list[Proposal]()
    try:
        proposals += _of_velero(place, observe(schedules).items, today)
    except CouldNotObserve as error:
        if error.problem.kind is not ProblemKind.ABSENT and not error.problem.target_down:
            not_seen.append(unread(place.target.name, error))
    proposals += _of_cronjobs(place, _cronjobs(observe, cronjobs), today)
    targets = (place.proposed,) if proposals else ()
    return Discovery(targets=targets, proposals=tuple(proposals), not_seen=tuple(not_seen))


def _cronjobs(observe: Observe, query: ListCronJobs) -> tuple[CronJob, ...]:
    try:
        return observe(query).items
    except CouldNotObserve:
        return ()  # the discovery of kubernetes reports it


def _of_cronjobs(place: Place, found: Iterable[CronJob], today: date) -> Iterator[Proposal]:
    for one in sorted(found, key=lambda one: one.name):
        if _NAMED_SO.search(one.name) and not one.is_terminating:
            zone = one.specified.time_zone
            yield _proposal(place, "cronjob", one.name, _longest_pause(one.specified.schedule, zone, today))


def _of_velero(place: Place, found: Iterable[Schedule], today: date) -> Iterator[Proposal]:
    for one in sorted(found, key=lambda one: one.name):
        if one.saves(place.target.namespace) and not one.is_terminating:
            yield _proposal(place, "velero", one.name, _longest_pause(one.spec and one.spec.schedule, None, today))


def _proposal(place: Place, tool: str, name: str, pause: timedelta | None) -> Proposal:
    what = f"Cron job {name}" if tool == "cronjob" else f"Velero's schedule {name}"
    seen = f"{what} is due at least every {format_duration(pause.total_seconds())}" if pause else what
    interval = pause or _DAY
    margin = max(interval / 12, _HOUR / 2)
    assumed = "" if pause else "; its schedule cannot be read, and once a day is assumed"
    return Proposal(
        id="-".join([*([] if "backup" in name else ["backup"]), slug(name), place.scope]),
        check="backup.jobs",
        target=place.target.name,
        selector={"tool": tool, "name": name, "namespace": None, "selector": None},
        fields={"age": {"P2": _written(interval + margin), "P1": _written(2 * interval + margin)}},
        reason=f"{seen}{assumed}. P2 when one backup is missing, P1 when two are.",
    )


def _written(limit: timedelta) -> str:
    """In minutes up to 3 hours, in hours up to 3 days, else in days."""
    for unit, letter, most in ((timedelta(minutes=1), "m", 3 * _HOUR), (_HOUR, "h", 3 * _DAY)):
        if limit <= most:
            return f"{-(-limit // unit)}{letter}"
    return f"{-(-limit // _DAY)}d"


def _longest_pause(text: str | None, zone: str | None, today: date) -> timedelta | None:
    """The longest time between two runs; None for a schedule that cannot be read or has no next run."""
    try:
        schedule = read_schedule(text, zone)
    except UnreadableSchedule:
        return None
    due: list[datetime] = []
    moment = schedule.after(datetime.combine(today.replace(month=1, day=1), time(), UTC))
    while moment is not None and len(due) < _RUNS:
        due.append(moment)
        moment = schedule.after(moment)
    return max((later - earlier for earlier, later in pairwise(due)), default=None)
