"""What every expectation of backups in a store has."""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.expectation import Expectation
from opscheck.core.query import Query
from opscheck.core.time_zones import TimeZone
from opscheck.systems.backup.expectations.series import Answer, Reading, Series, series_in
from opscheck.systems.stores.listing import ListBackups
from opscheck.systems.stores.names import SERIES, NameTemplate, name_template
from opscheck.systems.stores.target import StoreTarget

_DAY_S = 86400.0
_NO_SERIES = re.compile(r"[/*?{}]")


def _template(text: str) -> str:
    try:
        name_template(text)
    except ValueError as error:
        raise PydanticCustomError(
            "name_template",
            "a template of keys, such as database/backup-%Y%m%d-%H%M%S.dump ({reason})",
            {"reason": str(error)},
        ) from error
    return text


def _series_name(text: str) -> str:
    if not text or _NO_SERIES.search(text):
        raise PydanticCustomError("series_name", "a word as it stands in the names, without / * ? { }")
    return text


Names = Annotated[str, AfterValidator(_template)]
"""A template for keys of backups; see NameTemplate."""
SeriesName = Annotated[str, AfterValidator(_series_name)]


class OfSeries(Expectation):
    """Is about backups in a store, and about the newest of each series of them."""

    target: StoreTarget
    """The bucket or folder where they are."""
    names: Names
    """
    How they are named: a key with %Y %m %d %H %M %S (or %y, %j, %s, %z), `*` and `?` for anything between two slashes,
    `**` for anything at all, and {series} for the name of what is backed up. Ends with a slash where each is a folder.
    """
    time_zone: TimeZone = "UTC"
    """The zone of times in names that tell none."""
    series: tuple[SeriesName, ...] = ()
    """
    Which ones there must be of {series}, each with its own newest; without it those that are found, of which one that
    was never there, or is gone altogether, cannot be missed.
    """
    time_from: Literal["name", "modified"] = "name"
    """
    What tells when the data was read. `modified`, when an object was written last, is right only where nobody copies
    old ones anew: names that tell no date need that word.
    """

    @property
    def template(self) -> NameTemplate:
        """How they are named."""
        return name_template(self.names)

    @property
    def look_back_s(self) -> float | None:
        """How far back backups are looked at where the newest is younger than that; None for all there are."""
        return 2 * _DAY_S

    @property
    def looks_back_by_limit(self) -> bool:
        """Whether what is older than `look_back_s` breaks a limit, however old it is."""
        return False

    @property
    def least(self) -> int:
        """How many of each series it takes, where there are so many."""
        return 1

    @property
    def with_versions(self) -> bool:
        """Whether each version of an object is a backup."""
        return False

    def listings(self) -> list[tuple[str, ListBackups]]:
        """What is asked, each with the series that it is about; empty for what is about all of them."""
        if self._asks_each:
            return [(one, self._listing(self.template.of_series(one).text)) for one in self.series]
        return [("", self._listing(self.names))]

    def each_series(self, answer: Answer) -> list[Series]:
        """
        What there is of each series, also where that is nothing. `answer` is `observe`, or that of `further`.

        Raises CouldNotObserve.
        """
        return [series for name, query in self.listings() for series in self.series_in(name, query, answer)]

    def series_in(self, name: str, query: ListBackups, answer: Answer) -> list[Series]:
        """What there is of each series that one of its listings tells of, by name. Raises CouldNotObserve."""
        reading = Reading(ZoneInfo(self.time_zone), by_name=self._by_name)
        return series_in(name, query, answer(query), self.series, reading)

    def queries(self) -> Iterable[Query[Any]]:
        """The listings."""
        return [query for _, query in self.listings()]

    @property
    def _asks_each(self) -> bool:
        """Whether a question for each series finds less than one for all: before {series} nothing varies."""
        return bool(self.series) and self.template.prefix == self.names.partition(SERIES)[0].replace("%%", "%")

    @property
    def _by_name(self) -> bool:
        return self.time_from == "name" and self.template.says_when

    def _listing(self, template: str) -> ListBackups:
        # What sorts before a date in its name may have been written since. And of series that are listed together, one
        # that has stopped, or is rarer than others, lies before any time that would be looked at.
        unlimited = self.template.has_series and not (self._asks_each or (self.series and self.looks_back_by_limit))
        within_s = None if unlimited or not self._by_name else self.look_back_s
        each = self.least if self._asks_each else self.least * max(1, len(self.series))
        least = each if within_s is not None else 1
        return ListBackups(self.target.name, template, within_s, least, versions=self.with_versions)

    @field_validator("series")
    @classmethod
    def _names_tell_series(cls, series: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        names = info.data.get("names")
        if series and names is not None and not name_template(names).has_series:
            raise PydanticCustomError("series_unnamed", "{series} in `names`, in the place of the series' name")
        if len(set(series)) < len(series):
            raise PydanticCustomError("series_twice", "each series once")
        return series

    @model_validator(mode="after")
    def _time_is_told(self) -> Self:
        if self.time_from == "name" and not self._time_is_told_otherwise and not self.template.says_when:
            raise PydanticCustomError(
                "names_without_date",
                "`names` with a date such as %Y%m%d, or `time_from: modified` beside it: when an object was written "
                "last says when its data was read only where nobody copies old ones anew",
            )
        return self

    @property
    def _time_is_told_otherwise(self) -> bool:
        return False
