"""What readings of backups have in common: their time, and how they tell what was found."""

import time

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.units import format_bytes, format_duration
from opscheck.systems.stores.archives.examining import Examined
from opscheck.systems.stores.queries.content import BackupQuery, Content

_MARGIN, _MARGIN_AT_MOST_S = 0.03, 2.0


class Clock:
    """How long a reading may go on, and how far it is."""

    def __init__(self, query: BackupQuery[Content], timeout_s: float) -> None:
        self._query = query
        self._began = time.monotonic()
        # So that the probe itself ends the reading before the gatherer gives it up, and says how far it came.
        self.deadline = self._began + timeout_s - min(_MARGIN_AT_MOST_S, timeout_s * _MARGIN)
        self.read = 0
        """How many packed bytes were read so far."""

    def check(self) -> None:
        """Raise ProbeError when time is over."""
        if time.monotonic() > self.deadline:
            so_far = f"{format_bytes(self.read)} of {format_bytes(self._query.size)}"
            took = format_duration(time.monotonic() - self._began)
            raise ProbeError(ProblemKind.LATE, f"{self._query.key}: {so_far} were read in {took}", "raise `within`")


def changed(query: BackupQuery[Content], read: int) -> ProbeError:
    """What it means that there are more or fewer bytes than were listed."""
    text = f"{query.key} changed: it was listed with {query.size} bytes, and {read} were read"
    return ProbeError(ProblemKind.UNREADABLE, text, "is it still being written? Then write it under another name first")


def content_of(query: BackupQuery[Content], found: Examined, *, read: int, whole: bool = True) -> Content:
    """The answer that says what was found."""
    unjudged = found.unjudged
    return Content(
        size=query.size,
        read=read,
        whole=whole and found.judged,
        packed_with=tuple(found.packed_with),
        unpacked=found.unpacked if whole and found.judged and found.format != "directory" else None,
        format=found.format,
        header=found.header,
        sha256=found.sha256,
        judged_by=found.judged_by if found.judged else "",
        flaws=tuple(found.flaws),
        unjudged=unjudged.text if unjudged is not None else "",
        advice=unjudged.advice if unjudged is not None else "",
    )
