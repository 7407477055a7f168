"""Schedules of cron jobs in the grammar of the CronJob controller."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

# Kubernetes reads schedules with github.com/robfig/cron/v3, which differs from the cron of Linux distributions. A
# run in the hour that the clocks skip in spring is left out. In the hour that comes twice in autumn it runs twice.
# `*/2` in a field of days is a restriction and not a star, so the other field of days is an alternative to it. 7 is
# not a Sunday, and `?` is a star.
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_NAMES = {3: {name: at for at, name in enumerate(_MONTHS, 1)}, 4: {name: at for at, name in enumerate(_DAYS)}}
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_TERM = re.compile(r"(?:(?P<star>[*?])|(?P<low>\w+)(?:-(?P<high>\w+))?)(?:/(?P<step>\d+))?")
_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_ZONE = re.compile(r"(?:CRON_)?TZ=(\S+)\s+(.*)")
_EVERY = re.compile(r"@every ((?:\d+(?:\.\d+)?(?:h|ms|m|s))+)")
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")
_SECONDS = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}


class UnreadableSchedule(ValueError):  # noqa: N818 - it is not an error of opscheck
    """A schedule or its time zone cannot be read; the text has the reason."""


@dataclass(frozen=True)
class Schedule:
    """A schedule in its time zone."""

    text: str
    """The text in the cron job."""
    zone: ZoneInfo
    fields: str = ""
    """For cronsim, with a field of seconds; empty for `@every`."""
    every: timedelta | None = None

    def after(self, moment: datetime) -> datetime | None:
        """The first due time after `moment`; None when no date matches."""
        try:
            if self.every is not None:
                return moment.astimezone(UTC).replace(microsecond=0) + self.every
            # With a field of seconds, cronsim does not run skipped hours later, as distributions do.
            return next(CronSim(self.fields, moment.astimezone(self.zone))).astimezone(UTC)
        except (CronSimError, StopIteration, OverflowError):
            return None

    def __str__(self) -> str:
        return f"{self.text} ({self.zone.key})"


def read_schedule(text: str | None, time_zone: str | None, default_zone: str = "UTC") -> Schedule:
    """Read `schedule` and `timeZone` of a cron job. Raises UnreadableSchedule."""
    if not text:
        raise UnreadableSchedule("no schedule")
    # No longer supported, but still in force on old objects.
    prefixed = _ZONE.fullmatch(text)
    zone_name, rest = prefixed.groups() if prefixed else (time_zone or default_zone, text)
    zone = _zone(zone_name)
    if (every := _EVERY.fullmatch(rest)) is not None:
        return Schedule(text, zone, every=_span(every[1]))
    fields = _DESCRIPTORS.get(rest, rest).split()
    if len(fields) != len(_BOUNDS):
        raise UnreadableSchedule(f"schedule `{text}` does not have five fields")
    try:
        return Schedule(text, zone, " ".join(["0", *(_field(field, at) for at, field in enumerate(fields))]))
    except ValueError as error:
        raise UnreadableSchedule(f"invalid schedule `{text}`: {error}") from error


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:
        raise UnreadableSchedule(f"time zone `{name}` is unknown on this machine") from error


def _span(text: str) -> timedelta:
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _SPAN.findall(text))
    try:
        return timedelta(seconds=max(1, int(seconds)))
    except OverflowError as error:
        raise UnreadableSchedule(f"interval of schedule `@every {text}` is too long") from error


def _field(text: str, at: int) -> str:
    terms = [_term(term, at) for term in text.split(",") if term]
    if not terms:
        raise ValueError(f"empty field `{text}`")
    return "*" if "*" in terms else ",".join(terms)


def _term(text: str, at: int) -> str:
    """One term in numbers, in an unambiguous form for cronsim."""
    found = _TERM.fullmatch(text)
    if found is None:
        raise ValueError(f"`{text}` is not a number, range or step")
    least, most = _BOUNDS[at]
    step = int(found["step"] or 1)
    if found["star"]:
        low, high = least, most
    else:
        low = _number(found["low"], at)
        high = _number(found["high"], at) if found["high"] else most if found["step"] else low
    if not step or not least <= low <= high <= most:
        raise ValueError(f"`{text}` is not within {least} to {most}")
    if found["star"] and step == 1:
        return "*"
    # cronsim takes `2-2/3` for `2/3`, and 7 for a Sunday.
    return str(low) if high - low < step else f"{low}-{high}/{step}"


def _number(text: str, at: int) -> int:
    named = _NAMES.get(at, {}).get(text.upper())
    return int(text) if named is None else named
