"""Listing the backups in a store, in as few requests as their names allow."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from opscheck.core.observation import ProbeError
from opscheck.systems.stores.listing import ListBackups, Listing, StoredBackup
from opscheck.systems.stores.names import NameTemplate, name_template
from opscheck.systems.stores.probe.base import Store, deadline_in

TEMPORARY_SUFFIXES = (".tmp", ".part", ".partial", ".filepart")
"""The suffixes of unfinished files, which are not backups yet."""

_DAY_S = 86400.0
_WIDER = 16  # the factor for the next time range, when the first contains too few
_WIDEST_S = 10 * 366 * 86400.0  # beyond that, everything is listed
_EXAMPLES, _ELSEWHERE = 3, 5


def read(store: Store, query: ListBackups, timeout_s: float) -> Listing:
    """The answer to `query`. Raises ProbeError."""
    template, deadline = name_template(query.template), deadline_in(timeout_s)
    within, now, requests = query.within_s, datetime.now(UTC), 0
    while True:
        since, seen = "", _Seen(template)
        if within is not None and within <= _WIDEST_S:
            since = template.from_moment(now - timedelta(seconds=within))
        for page in store.pages(template.prefix, after=since, versions=query.versions, deadline=deadline):
            requests += 1
            for entry in page:
                seen.add(entry)
        backups = seen.backups()
        if len(backups) >= query.least or not since:
            break
        within = max(within or 0.0, _DAY_S) * _WIDER
    more_requests, elsewhere = (0, ()) if seen.any else _elsewhere(store, template, deadline)
    return Listing(
        backups=backups,
        since=since,
        others=seen.others,
        examples=tuple(seen.examples),
        elsewhere=elsewhere,
        requests=requests + more_requests,
    )


@dataclass
class _Seen:
    """The result of one listing under a template's prefix."""

    template: NameTemplate
    fitting: list[StoredBackup] = field(default_factory=list)
    others: int = 0
    any: bool = False
    examples: list[str] = field(default_factory=list)

    def add(self, entry: StoredBackup) -> None:
        """Count an object."""
        is_folder_marker = entry.key.endswith("/") and not entry.size
        if is_folder_marker or entry.key.endswith(TEMPORARY_SUFFIXES):
            return
        self.any = True
        fits = self.template.folder_of(entry.key) if self.template.is_folder else self.template.read(entry.key)
        if fits is not None:
            self.fitting.append(entry)
            return
        self.others += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(entry.key)

    def backups(self) -> tuple[StoredBackup, ...]:
        """The objects whose names match, or their folders."""
        if not self.template.is_folder:
            return tuple(self.fitting)
        by_folder: dict[str, list[StoredBackup]] = {}
        for entry in self.fitting:
            by_folder.setdefault(self.template.folder_of(entry.key) or "", []).append(entry)
        return tuple(_one(folder, inside) for folder, inside in by_folder.items())


def _one(folder: str, entries: list[StoredBackup]) -> StoredBackup:
    return StoredBackup(
        key=folder,
        size=sum(entry.size for entry in entries),
        modified=max(entry.modified for entry in entries),
        storage_class=next((entry.storage_class for entry in entries if entry.storage_class), ""),
        objects=len(entries),
    )


def _elsewhere(store: Store, template: NameTemplate, deadline: float) -> tuple[int, tuple[str, ...]]:
    """
    The entries of the closest parent folder that is not empty, and the number of requests.

    Empty when it cannot be listed, since it is only evidence.
    """
    requests, prefix = 0, template.prefix
    try:
        while prefix:
            prefix = prefix[: prefix[:-1].rfind("/") + 1]
            requests += 1
            page = next(iter(store.pages(prefix, deadline=deadline)), ())
            if places := dict.fromkeys(_next_folder(entry.key, prefix) for entry in page):
                return requests, tuple(list(places)[:_ELSEWHERE])
    except ProbeError:
        return requests, ()
    return requests, ()


def _next_folder(key: str, prefix: str) -> str:
    folder, slash, _ = key[len(prefix) :].partition("/")
    return prefix + folder + slash
