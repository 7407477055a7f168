"""Templates for the names of backups, with the directives of `date`; and the parts of a name that matches."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property, lru_cache

SERIES = "{series}"
_FIELDS = {
    "%Y": r"(?P<Y>\d{4})",
    "%y": r"(?P<y>\d{2})",
    "%m": r"(?P<m>0[1-9]|1[0-2])",
    "%d": r"(?P<d>0[1-9]|[12]\d|3[01])",
    "%j": r"(?P<j>[0-3]\d{2})",
    "%H": r"(?P<H>[01]\d|2[0-3])",
    "%M": r"(?P<M>[0-5]\d)",
    "%S": r"(?P<S>[0-5]\d|60)",
    "%s": r"(?P<s>\d{9,11})",
    "%z": r"(?P<z>Z|[+-]\d{2}:?\d{2})",
}
_OTHERS = {SERIES: r"(?P<series>[^/]+?)", "**": r".*", "*": r"[^/]*", "?": r"[^/]", "%%": "%"}
_PART = re.compile(r"%.?|\{\w*\}|\*\*|\*|\?|[^%{*?]+|.", re.DOTALL)
_LARGEST_FIRST = ("%Y", "%m", "%d", "%H", "%M", "%S")
_LEAP_SECOND = 60
_MARGIN = timedelta(days=1)  # a zone is up to 14 hours from UTC


@dataclass(frozen=True)
class Named:
    """The parts of a backup's name."""

    series: str
    """The value of {series}; empty when names do not contain it."""
    at: datetime | None
    """The time in the name, None without one. Its zone is None when the name has no zone."""

    def in_zone(self, zone: tzinfo) -> datetime | None:
        """The time, in `zone` when the name has no zone."""
        return self.at.replace(tzinfo=zone) if self.at is not None and self.at.tzinfo is None else self.at


@dataclass(frozen=True)
class NameTemplate:
    """
    A template for the keys of backups: `database/{series}/backup-%Y%m%d-%H%M%S.dump`.

    Directives are those of `date` and strftime: %Y %y %m %d %j %H %M %S, %s for seconds since 1970, %z for a zone.
    `*` and `?` match text between two slashes, `**` any text, and `{series}` a word, which is returned. A template
    that ends with a slash is for folders, each of which is one backup. Where a directive occurs twice, the last
    one counts. Raises ValueError for an invalid template.
    """

    text: str

    def __post_init__(self) -> None:
        for part in self._parts:
            if part.startswith(("%", "{")) and part not in _FIELDS and part not in _OTHERS:
                known = ", ".join([*_FIELDS, SERIES])
                raise ValueError(f"{part} is not known; there are {known}, and *, ** and ?")
        if self._parts.count(SERIES) > 1:
            raise ValueError(f"{SERIES} can stand there once")
        if not self.text or self.text.startswith("/"):
            raise ValueError("a key that begins without a slash")

    @property
    def says_when(self) -> bool:
        """True when its names contain at least the day of a backup."""
        there = set(self._parts)
        return "%s" in there or (bool(there & {"%Y", "%y"}) and ({"%m", "%d"} <= there or "%j" in there))

    @property
    def resolution(self) -> timedelta:
        """The resolution of the time in its names, which must contain the day."""
        there = set(self._parts)
        exact = [("%s", 1), ("%S", 1), ("%M", 60), ("%H", 3600)]
        return timedelta(seconds=next((seconds for part, seconds in exact if part in there), 86400))

    @property
    def has_series(self) -> bool:
        """True when its names contain the series."""
        return SERIES in self._parts

    @property
    def is_folder(self) -> bool:
        """True when each backup is a folder of several objects."""
        return self.text.endswith("/")

    @property
    def prefix(self) -> str:
        """The prefix of all keys."""
        return self._rendered({})

    def of_series(self, series: str) -> "NameTemplate":
        """The template for that series only."""
        return NameTemplate(self.text.replace(SERIES, series.replace("%", "%%")))

    def from_moment(self, moment: datetime) -> str:
        """
        The key that every backup since `moment` sorts after, with a day to spare for zones; empty when there is none.

        Names sort by time only when their date goes from the year down, and no variable part precedes it.
        """
        values = {one: (moment - _MARGIN).strftime(one) for one in _LARGEST_FIRST[:3]}
        start = self._rendered(values)
        return start if start != self.prefix else ""

    def read(self, key: str) -> Named | None:
        """The parts of the key, None when it does not match the template or its date does not exist."""
        found = self._pattern.match(key)
        if found is None:
            return None
        values = {name.rstrip("_"): value for name, value in found.groupdict().items()}
        try:
            return Named(values.get("series", ""), _moment(values) if self.says_when else None)
        except ValueError:  # 31 February
            return None

    def folder_of(self, key: str) -> str | None:
        """The folder that is the backup of a key in it; only for a template for folders."""
        found = self._pattern.match(key)
        return found.group(0) if found is not None else None

    @cached_property
    def _parts(self) -> tuple[str, ...]:
        return tuple(_PART.findall(self.text))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        last = {part: place for place, part in enumerate(self._parts)}
        words = []
        for place, part in enumerate(self._parts):
            word = _FIELDS.get(part) or _OTHERS.get(part) or re.escape(part)
            # A group's name may occur once: the last occurrence counts.
            words.append(word if last[part] == place else re.sub(r"\?P<\w+>", "?:", word))
        return re.compile("".join(words) + ("" if self.is_folder else r"\Z"), re.DOTALL)

    def _rendered(self, values: dict[str, str]) -> str:
        """The template up to the first part with an unknown value."""
        text, ahead = "", list(_LARGEST_FIRST)
        for part in self._parts:
            if part in values and (part not in ahead or part == ahead[0]):
                text += values[part]
                ahead = [one for one in ahead if one != part]
            elif part == "%%" or part not in {*_FIELDS, *_OTHERS}:
                text += part[:1] if part == "%%" else part
            else:
                break
        return text


@lru_cache(maxsize=256)
def name_template(text: str) -> NameTemplate:
    """The parsed template, cached. Raises ValueError."""
    return NameTemplate(text)


def _moment(values: dict[str, str]) -> datetime:
    if values.get("s"):
        return datetime.fromtimestamp(int(values["s"]), UTC)
    year = int(values["Y"]) if values.get("Y") else 2000 + int(values["y"])
    if values.get("j"):
        day = datetime(year, 1, 1) + timedelta(days=int(values["j"]) - 1)  # noqa: DTZ001 - the zone comes with %z, or later
        if day.year != year:
            raise ValueError(values["j"])
    else:
        day = datetime(year, int(values["m"]), int(values["d"]))  # noqa: DTZ001 - the zone comes with %z, or later
    seconds = min(int(values.get("S") or 0), _LEAP_SECOND - 1)
    zone = datetime.strptime(values["z"], "%z").tzinfo if values.get("z") else None
    return day.replace(hour=int(values.get("H") or 0), minute=int(values.get("M") or 0), second=seconds, tzinfo=zone)
