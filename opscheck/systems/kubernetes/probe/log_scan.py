"""Scanning a log: counting matching lines and grouping them by signature. No I/O."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime

from opscheck.core.masking import mask_secrets
from opscheck.systems.kubernetes.logs import LogSignature

LONGEST_LINE = 4096
"""Searched length of a line: it limits the cost of a bad pattern."""

MOST_SIGNATURES = 10
_SHOWN = 300
_KEPT = 500  # signatures per log; a log with more is not grouped by them
_GROUPED = 2000  # matching lines per log; masking takes longer than searching
_STAMP_ENDS_BY = 40
# Longer patterns that contain shorter ones come first.
_VARIABLE = tuple(
    (re.compile(pattern), shown)
    for pattern, shown in (
        (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?", "<time>"),
        (r"\b\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:\.\d+)?", "<time>"),
        (r"\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b", "<time>"),
        (r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b", "<uuid>"),
        (r"\"(?:\\.|[^\"\\])*\"", '"<text>"'),
        (r"(?<!\w)'(?:\\.|[^'\\])*'(?!\w)", "'<text>'"),
        (r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b", "<ip>"),
        (r"\b0x[0-9a-fA-F]+\b", "<hex>"),
        (r"\b(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{8,}\b", "<hex>"),
        (r"\d+(?:\.\d+)?", "<n>"),
    )
)


def compiled(pattern: str, *, ignore_case: bool) -> Callable[[str], object]:
    return re.compile(pattern, re.IGNORECASE if ignore_case else 0).search


def signature_of(line: str) -> str:
    """`line` without its variable parts: times, identifiers, addresses, numbers, quoted texts."""
    for pattern, shown in _VARIABLE:
        line = pattern.sub(shown, line)
    return " ".join(line.split())[:_SHOWN]


class LogScan:
    """
    Counts the lines of one log as its bytes arrive; each line starts with the kubelet's timestamp.

    `after` leaves out lines up to that time, which another scan has counted.
    """

    def __init__(self, matches: Callable[[str], object], *, after: datetime | None = None) -> None:
        self._matches = matches
        self._after = after
        self._rest = b""
        self._skipping = False
        self.size = 0
        self.lines = 0
        """Lines that were counted."""
        self.seen = 0
        """Lines that arrived, counted or not."""
        self.matched = 0
        self.first_match: datetime | None = None
        self.last_match: datetime | None = None
        self.first: datetime | None = None
        """The timestamp of the first line that arrived."""
        self.last: datetime | None = None
        self.complaint = ""
        """The kubelet's error in place of the log: a line without a timestamp."""
        self.signatures: Counter[str] = Counter()
        self.samples: dict[str, str] = {}

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the log."""
        self.size += len(chunk)
        *whole, rest = (self._rest + chunk).split(b"\n")
        for line in whole:
            if self._skipping:  # the end of a line whose beginning was already searched
                self._skipping = False
            else:
                self._line(line)
        if len(rest) > LONGEST_LINE + _STAMP_ENDS_BY:
            if not self._skipping:
                self._line(rest)
            self._skipping, rest = True, b""
        self._rest = rest

    def finish(self, *, cut: bool) -> None:
        """End the scan. With `cut` the log is longer and was cut within a line, which does not count."""
        # The kubelet's error has no timestamp either; a part of a timestamp, left by a cut, is not an error.
        is_half_a_line = cut and (self.seen or _stamped(self._rest) or len(self._rest) <= _STAMP_ENDS_BY)
        if self._rest and not self._skipping and not is_half_a_line:
            self._line(self._rest)
        self._rest = b""

    def _line(self, raw: bytes) -> None:
        stamp = _stamped(raw)
        if stamp is None:
            self.complaint = self.complaint or mask_secrets(raw[:LONGEST_LINE].decode("utf-8", "replace"))[:_SHOWN]
            return
        at, text = stamp
        self.seen += 1
        self.first = self.first or at
        self.last = at
        if self._after is not None and at <= self._after:
            return
        self.lines += 1
        line = text[:LONGEST_LINE].decode("utf-8", "replace")
        if self._matches(line):
            self._match(line, at)

    def _match(self, line: str, at: datetime) -> None:
        self.matched += 1
        self.first_match = self.first_match or at
        self.last_match = at
        if self.matched > _GROUPED:
            return
        masked = mask_secrets(line)
        signature = signature_of(masked)
        if signature in self.signatures or len(self.signatures) < _KEPT:
            self.signatures[signature] += 1
            self.samples.setdefault(signature, " ".join(masked.split())[:_SHOWN])


def _stamped(raw: bytes) -> tuple[datetime, bytes] | None:
    """The timestamp of a line, and its text; None without a timestamp."""
    stamp, space, text = raw.partition(b" ")
    if not space or len(stamp) > _STAMP_ENDS_BY:
        return None
    try:
        at = datetime.fromisoformat(stamp.decode("ascii"))
    except (ValueError, UnicodeDecodeError):
        return None
    return (at, text) if at.tzinfo else None


def most_frequent(scans: Iterable[tuple[str, LogScan]]) -> tuple[LogSignature, ...]:
    """The signatures of all these logs, each given with its pod, most frequent first."""
    lines: Counter[str] = Counter()
    pods: dict[str, set[str]] = {}
    samples: dict[str, str] = {}
    for pod, scan in scans:
        for text, count in scan.signatures.items():
            lines[text] += count
            pods.setdefault(text, set()).add(pod)
            samples[text] = min(scan.samples[text], samples.get(text, scan.samples[text]))
    ranked = sorted(lines, key=lambda text: (-lines[text], text))[:MOST_SIGNATURES]
    return tuple(
        LogSignature(text=text, lines=lines[text], sample=samples[text], pods=len(pods[text])) for text in ranked
    )
