"""Reading certificate files of a host: the files are listed first, then read in bounded pieces."""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.units import format_duration
from opscheck.systems.host.probe.commands import MOST_OUTPUT, NOT_FOUND
from opscheck.systems.host.probe.session import HostSession
from opscheck.systems.tls.files import (
    LARGEST_FILE,
    MOST_FILES,
    CertificateFile,
    CertificateFiles,
    Fault,
    ReadCertificateFiles,
    Unmatched,
)
from opscheck.systems.tls.probe.formats import Content, Kind, read_der, read_pem, read_pkcs12

# $1 is the maximum number of files, $2 their maximum size; the patterns follow. Without anything in IFS a pattern
# is not split at its blanks, and still expanded. Each file is one line, its path last. `stat -c` is GNU's and
# busybox's. The first bytes distinguish PKCS#12 and a certificate in DER from anything else, such as a key, which
# must stay on the host.
_LIST = r"""
LC_ALL=C; export LC_ALL; set -f; most=$1; largest=$2; shift 2; number=0; count=0; newline="$(printf '\nx')";
newline="${newline%x}";
describe() {
  if [ -d "$1" ]; then return 1; fi;
  case "$1" in *"$newline"*) echo "odd;$number"; return 0;; esac;
  if [ -e "$1" ] || [ -L "$1" ]; then :; else return 1; fi;
  count=$((count + 1)); if [ $count -gt $most ]; then return 0; fi;
  about=$(stat -L -c '%s;%Y' "$1" 2>/dev/null || echo "$(wc -c <"$1" 2>/dev/null | tr -d ' ');");
  real=; if [ -L "$1" ]; then real=$(readlink -f "$1"); fi; case "$real" in *"$newline"*) real=;; esac; kind=other;
  if [ -e "$1" ]; then
    if [ -f "$1" ]; then
      if [ -r "$1" ]; then
        if [ -s "$1" ]; then if [ "${about%%;*}" -gt "$largest" ]; then kind=large; fi; else kind=empty; fi;
      else kind=forbidden; fi;
    else kind=special; fi;
  else kind=missing; fi;
  if [ $kind != other ]; then :;
  elif grep -q -e '-----BEGIN' "$1"; then kind=pem;
  else case "$(od -An -v -tx1 -N16 <"$1" | tr -s ' \n' '  ')" in
    " 30 80 02 01 03 "*|" 30 81 "??" 02 01 03 "*|" 30 82 "??" "??" 02 01 03 "*|" 30 83 "??" "??" "??" 02 01 03 "*)
      kind=pkcs12;;
    " 30 82 "??" "??" 30 82 "??" "??" a0 03 02 01 "*|" 30 82 "??" "??" 30 81 "??" a0 03 02 01 "*) kind=der;;
    " 30 81 "??" 30 81 "??" a0 03 02 01 "*|" 30 81 "??" 30 "??" a0 03 02 01 "*) kind=der;;
    " fe ed fe ed "*|" ce ce ce ce "*) kind=jks;;
  esac; fi;
  echo "file;$number;$kind;$about;$real"; echo "path;$1";
};
closed() {
  part=$1; below=;
  while :; do
    case "$part" in */*) below=${part##*/}; part=${part%/*};; *) break;; esac;
    if [ -z "$part" ]; then break; fi; set +f;
    for folder in $part; do
      set -f; case "$folder" in *"$newline"*) continue;; esac; [ -d "$folder" ] || continue;
      shut=; [ -x "$folder" ] || shut=1;
      case "$below" in *[*?[]*) [ -r "$folder" ] || shut=1;; esac;
      if [ -n "$shut" ]; then echo "closed;$number;$folder"; fi;
    done; set -f;
  done;
};
nearby() {
  near=$1; until [ -d "$near" ]; do near=$(dirname "$near"); done;
  echo "nothing;$number;$near"; there=0; set +f;
  for name in "${near%/}"/*; do
    set -f; case "$name" in *"$newline"*) continue;; esac;
    if [ -e "$name" ] || [ -L "$name" ]; then
      there=$((there + 1)); if [ $there -le 5 ]; then echo "there;${name##*/}"; fi;
    fi;
  done; set -f; echo "count;$there";
};
IFS=;
for pattern in "$@"; do
  found=; set +f;
  for path in $pattern; do set -f; if describe "$path"; then found=1; fi; done; set -f;
  closed "$pattern"; if [ -z "$found" ]; then nearby "$pattern"; fi; number=$((number + 1));
done;
echo "all;$count"
"""

# Pairs of a kind and a path. Of a PEM file only certificates are printed: another BEGIN line ends the output, as a
# key could follow a truncated certificate. Content lines are marked, so that they differ from lines of the script.
_READ = r"""
LC_ALL=C; export LC_ALL;
while [ $# -ge 2 ]; do
  echo "begin;$1";
  if [ "$1" = pem ]; then
    grep -c -e '-----BEGIN [A-Z0-9 ]*CERTIFICATE-----' "$2" | sed 's/^/seen;/';
    sed -n 's/^-----BEGIN \([A-Z0-9 ]*\)-----.*/holds;\1/p' "$2" | sort -u;
    sed -n -e '/^-----BEGIN [A-Z0-9 ]*CERTIFICATE-----/,/-----END [A-Z0-9 ]*CERTIFICATE-----/{'
      -e '/^-----BEGIN [A-Z0-9 ]*CERTIFICATE-----[[:space:]]*$/b ok' -e '/-----BEGIN/q' -e ':ok' -e 's/^/+/p' -e '}'
      "$2";
  elif command -v base64 >/dev/null 2>&1; then echo "as;base64"; base64 <"$2" | sed 's/^/+/';
  else echo "as;hex"; od -An -v -tx1 <"$2" | sed 's/^/+/'; fi;
  echo "end"; shift 2;
done
"""

# As hex, on a host without base64, a file grows to three times its size; a PEM file by a mark for each line.
_GROWS = {Kind.PEM: 1.1, Kind.PKCS12: 3.3, Kind.DER: 3.3}
_PIECE = 0.9 * MOST_OUTPUT
_FILE = re.compile(r"file;\d+;(?P<kind>\w+);(?P<size>\d*);(?P<modified>\d*);(?P<real>.*)")
_UNREAD = {
    "forbidden": (Fault.FORBIDDEN, ""),
    "large": (Fault.TOO_LARGE, ""),
    "empty": (Fault.EMPTY, ""),
    "missing": (Fault.NONE, "broken link"),
    "special": (Fault.NONE, "not a regular file"),
    "jks": (Fault.UNSUPPORTED, "a Java keystore (JKS); `keytool -importkeystore -deststoretype pkcs12` converts it"),
    "other": (Fault.NONE, "not PEM, PKCS#12 or DER"),
}


@dataclass(frozen=True)
class _Entry:
    """One file of the listing."""

    kind: str
    size: int
    modified: datetime | None
    real: str
    """The target of a link; empty otherwise."""
    path: str

    @property
    def output_size(self) -> float:
        """The estimated size of its output in bytes."""
        return self.size * _GROWS[Kind(self.kind)]


@dataclass
class _Listing:
    entries: dict[str, _Entry] = field(default_factory=dict)
    """Each file once, by its real path: links give it several paths."""
    unmatched: dict[int, Unmatched] = field(default_factory=dict)
    closed: list[tuple[int, str]] = field(default_factory=list)
    """Numbers of patterns, and folders without permission to search."""
    odd: int = 0
    count: int = 0


def read_certificate_files(session: HostSession, query: ReadCertificateFiles, timeout_s: float) -> CertificateFiles:
    """The public part of the files' content. Raises ProbeError."""
    deadline = monotonic() + timeout_s
    listing = _listed(session, query, timeout_s)
    entries = list(listing.entries.values())
    contents: dict[str, Content] = {}
    readable = [entry for entry in entries if entry.kind in set(Kind) and entry.output_size <= _PIECE]
    for piece in _pieces(readable):
        left = deadline - monotonic()
        if left <= 0:
            raise ProbeError(
                ProblemKind.LATE, f"only {len(contents)} of {len(entries)} files in {format_duration(timeout_s)}"
            )
        contents |= _contents(session, piece, left)
    return CertificateFiles(
        files=tuple(_file(entry, contents.get(entry.path)) for entry in entries),
        # In a folder without permission to search, a file may match.
        unmatched=tuple(one for number, one in listing.unmatched.items() if number not in dict(listing.closed)),
        closed=tuple(dict.fromkeys(folder for _, folder in listing.closed)),
        left_out=listing.odd + max(0, listing.count - MOST_FILES),
    )


def _listed(session: HostSession, query: ReadCertificateFiles, within_s: float) -> _Listing:
    finished = session.run(_LIST, (str(MOST_FILES), str(LARGEST_FILE), *query.paths), within_s)
    if finished.status == NOT_FOUND:
        said = finished.stderr.decode(errors="replace").strip()[:200]
        advice = "install coreutils, grep and sed there"
        raise ProbeError(ProblemKind.UNSUPPORTED, f"command not found there: {said}", advice)
    lines = finished.stdout.decode(errors="replace").split("\n")
    try:
        return _listing(lines, query.paths)
    except (ValueError, LookupError, OverflowError, OSError):  # the last two for impossible times
        text = f"unexpected output: {finished.stdout[:200]!r}"
        raise ProbeError(ProblemKind.UNREADABLE, text) from None


def _listing(lines: list[str], patterns: tuple[str, ...]) -> _Listing:
    """Parse the lines of the script. Raises ValueError when they are others, or incomplete."""
    listing, rest_of_lines, whole = _Listing(), iter(lines), False
    for line in rest_of_lines:
        word, _, rest = line.partition(";")
        if word == "file":
            entry = _entry(line, next(rest_of_lines, ""))
            if "\ufffd" in entry.path:  # a name in another encoding could not be passed back
                listing.odd += 1
            else:
                listing.entries.setdefault(entry.real or entry.path, entry)
        elif word == "nothing":
            number, _, near = rest.partition(";")
            listing.unmatched[int(number)] = _unmatched(patterns[int(number)], near, rest_of_lines)
        elif word == "closed":
            number, _, folder = rest.partition(";")
            listing.closed.append((int(number), folder))
        elif word == "odd":
            listing.odd += 1
        elif word == "all":
            listing.count, whole = int(rest), True
    if not whole:
        raise ValueError("the end is missing")
    return listing


def _entry(line: str, following: str) -> _Entry:
    found, path = _FILE.fullmatch(line), following.removeprefix("path;")
    if found is None or path == following:
        raise ValueError(line)
    modified = datetime.fromtimestamp(int(found["modified"]), UTC) if found["modified"] else None
    return _Entry(found["kind"], int(found["size"] or 0), modified, found["real"], path)


def _unmatched(pattern: str, near: str, lines: Iterator[str]) -> Unmatched:
    names: list[str] = []
    while (line := next(lines, "")).startswith("there;"):
        names.append(line.removeprefix("there;"))
    return Unmatched(pattern=pattern, near=near, there=tuple(names), count=int(line.removeprefix("count;")))


def _pieces(entries: list[_Entry]) -> Iterator[list[_Entry]]:
    """Groups of files whose output fits into one command."""
    piece, size = list[_Entry](), 0.0
    for entry in entries:
        if piece and size + entry.output_size > _PIECE:
            yield piece
            piece, size = [], 0.0
        piece.append(entry)
        size += entry.output_size
    if piece:
        yield piece


def _contents(session: HostSession, piece: list[_Entry], within_s: float) -> dict[str, Content]:
    words = tuple(word for entry in piece for word in (entry.kind, entry.path))
    output = session.run(_READ, words, within_s).stdout.decode("latin-1")  # certificates in PEM are ASCII
    parts = re.split(r"^begin;\w+\n", output, flags=re.MULTILINE)[1:]
    if len(parts) != len(piece) or not all(part.endswith("end\n") for part in parts):
        # Without the output itself: it may contain the key of a keystore.
        last = piece[min(len(piece), max(1, len(parts))) - 1].path
        raise ProbeError(ProblemKind.UNREADABLE, f"unexpected output: truncated while reading {last}")
    password = session.keystore_password
    return {entry.path: _content(entry.kind, part, password) for entry, part in zip(piece, parts, strict=True)}


def _content(kind: str, part: str, password: str | None) -> Content:
    lines = part.split("\n")
    marked = [line[1:] for line in lines if line.startswith("+")]
    pairs = [line.partition(";") for line in lines if not line.startswith("+")]
    printed = {word: [value for key, _, value in pairs if key == word] for word in ("seen", "holds", "as")}
    if kind == Kind.PEM:
        return read_pem(marked, sum(int(count) for count in printed["seen"] if count.isdecimal()), printed["holds"])
    try:
        data = base64.b64decode("".join(marked)) if printed["as"] == ["base64"] else bytes.fromhex(" ".join(marked))
    except ValueError:
        return Content((), Fault.DAMAGED, "incomplete output")
    return read_der(data) if kind == Kind.DER else read_pkcs12(data, password)


def _file(entry: _Entry, content: Content | None) -> CertificateFile:
    if content is None:
        fault, detail = _UNREAD.get(entry.kind, (Fault.TOO_LARGE, ""))
        content = Content((), fault, detail)
    return CertificateFile(
        path=entry.path,
        keystore=entry.kind == Kind.PKCS12,
        modified=entry.modified,
        certificates=content.certificates,
        fault=content.fault,
        detail=content.detail,
    )
