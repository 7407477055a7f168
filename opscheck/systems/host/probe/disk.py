"""Reading the free space of a disk with df, stat and /proc/mounts."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.host.disk import DiskAnswer, DiskUse, Filesystem, Inodes
from opscheck.systems.host.probe.commands import KILLED, NOT_FOUND, Finished, Run, one_line, sections

# $1 is the path, $2 the timeout of each command in seconds. busybox before 1.30 has `timeout -t`. Below a folder
# without permission to search, a path is not known to be missing.
_DISK = """
LC_ALL=C; export LC_ALL; limit=;
if timeout -s KILL 1 true 2>/dev/null; then limit="timeout -s KILL $2";
elif timeout -t 1 -s KILL true 2>/dev/null; then limit="timeout -t $2 -s KILL"; fi;
$limit test -e "$1"; status=$?;
if [ $status -eq 1 ]; then
  near=$1; until $limit test -e "$near"; do near=$(dirname "$near"); done;
  if $limit test -x "$near"; then echo opscheck:missing; exit 0; fi;
  echo "no permission to search $near" >&2; exit 126;
fi;
if [ $status -eq 0 ]; then
  echo opscheck:path; $limit readlink -f "$1" || (cd "$1" && pwd -P);
  echo opscheck:inodes; $limit stat -f -c "%c %d" "$1" 2>/dev/null || $limit df -iP "$1" 2>/dev/null;
  echo opscheck:mounts; cat /proc/mounts 2>/dev/null;
  echo opscheck:space; $limit df -kP "$1"; status=$?;
fi;
exit $status
"""
_FORBIDDEN = 126

# `df -P`: only the first and the last column may contain blanks.
_DF = re.compile(
    r"^(?P<source>.+?)\s+(?P<size>\d+)\s+(?P<used>\d+)\s+(?P<free>-?\d+)\s+(?:\d+%|-)\s+(?P<mounted_on>/.*)$",
    re.MULTILINE,
)
_TOTAL_AND_FREE = re.compile(r"^(\d+) (\d+)$", re.MULTILINE)
_OCTAL = re.compile(r"\\([0-7]{3})")
_KILOBYTE = 1024

# Share of the time limit, to distinguish a hanging mount from a silent host.
_MOUNT_SHARE = 0.8


def read_disk(run: Run, query: DiskUse, timeout_s: float) -> DiskAnswer:
    """The filesystem that holds the path of `query`. Raises ProbeError."""
    seconds = str(max(1, int(timeout_s * _MOUNT_SHARE)))
    finished = run(_DISK, (query.mount, seconds), timeout_s)
    output = finished.stdout.decode(errors="replace")
    if finished.status != 0:
        raise _no_disk(query.mount, finished, seconds)
    if output.startswith("opscheck:missing\n"):
        return DiskAnswer(path=query.mount, filesystem=None)
    return parse_disk(output)


def _no_disk(mount: str, finished: Finished, seconds: str) -> ProbeError:
    said = one_line(finished.stderr.decode(errors="replace"))
    if finished.status in KILLED:
        return ProbeError(ProblemKind.LATE, f"{mount} did not respond in {seconds}s; does a network filesystem hang?")
    if finished.status == _FORBIDDEN:
        return ProbeError(ProblemKind.DENIED, said, "name a user with this permission in the uri, or add ?sudo=true")
    if finished.status == NOT_FOUND:
        return ProbeError(ProblemKind.UNSUPPORTED, f"command not found there: {said}", "install coreutils there")
    return ProbeError(ProblemKind.UNREADABLE, f"df exited with {finished.status}: {said}")


def parse_disk(output: str) -> DiskAnswer:
    """Parse the script's output. Raises ProbeError when it is not that of df, stat and /proc/mounts."""
    parts = sections(output)
    found = _DF.search(parts.get("space", ""))
    path = parts.get("path", "").removesuffix("\n")
    if found is None or not path:
        raise ProbeError(ProblemKind.UNREADABLE, f"invalid output of df: {one_line(output, 200)}")
    mount = _mount(path, parts.get("mounts", ""))
    source, mounted_on, type_, options = mount or (found["source"], found["mounted_on"], "", "")
    return DiskAnswer(
        path=path,
        filesystem=Filesystem(
            mounted_on=mounted_on,
            source=source,
            type=type_,
            read_only="ro" in options.split(","),
            size=int(found["size"]) * _KILOBYTE,
            used=int(found["used"]) * _KILOBYTE,
            # Negative when root has written into its reserve.
            available=max(0, int(found["free"])) * _KILOBYTE,
            inodes=_inodes(parts.get("inodes", "")),
        ),
    )


def _inodes(text: str) -> Inodes | None:
    if (counts := _TOTAL_AND_FREE.search(text)) is not None:
        total, free = int(counts[1]), int(counts[2])
        return Inodes(used=max(0, total - free), free=free)
    if (row := _DF.search(text)) is not None:
        return Inodes(used=int(row["used"]), free=int(row["free"]))
    return None


def _mount(path: str, table: str) -> tuple[str, str, str, str] | None:
    """
    Source, mount point, type and options of the mount that holds `path`; None without a table of mounts.

    The table is preferred to df: of several mounts of one device, as in every pod, busybox's df names the first.
    """
    best: tuple[str, str, str, str] | None = None
    for row in mount_rows(table):
        # The last mount at the same place hides the others.
        if PurePosixPath(path).is_relative_to(row[1]) and (best is None or len(row[1]) >= len(best[1])):
            best = row
    return best


def mount_rows(table: str) -> Iterator[tuple[str, str, str, str]]:
    """Source, mount point, type and options of each line of /proc/mounts."""
    for line in table.splitlines():
        fields = [_OCTAL.sub(lambda code: chr(int(code[1], 8)), field) for field in line.split(" ")]
        if len(fields) >= 4:  # noqa: PLR2004 - the columns we read
            yield fields[0], fields[1], fields[2], fields[3]
