"""How a machine, container or pod is read: small read-only shell scripts, run there through testinfra."""

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from time import monotonic
from typing import Any, TypeAlias

import testinfra.backend

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.query import Query
from opscheck.systems.backup.probe.tools import read_barman, read_pgbackrest
from opscheck.systems.backup.queries.tools import ReadBarman, ReadPgbackrest
from opscheck.systems.host.commands import CommandStopped, Finished, run_locally
from opscheck.systems.host.queries import DiskAnswer, DiskUse, Filesystem, Inodes, ResolveName
from opscheck.systems.host.resolving import resolve
from opscheck.systems.host.scripts import KILLED, NOT_FOUND, sections
from opscheck.systems.host.target import HostTarget
from opscheck.systems.tls.probe.files import read_certificate_files
from opscheck.systems.tls.queries.files import ReadCertificateFiles

# Of its time, so that the probe itself ends a command before the question is given up.
_OWN_SHARE = 0.95
# Of its time, so that a mount that hangs is told from a host that is silent.
_MOUNT_SHARE = 0.8

# The first line of every script's output. Without it the host was never reached, whatever the exit status says:
# ssh, docker and kubectl mix their own with that of the command.
_HERE = b"opscheck:here\n"

_PROGRAMS = {
    "ssh": "ssh",
    "safe-ssh": "ssh",
    "docker": "docker",
    "podman": "podman",
    "kubectl": "kubectl",
    "openshift": "oc",
    "lxc": "lxc",
}
_DENIED = re.compile(r"denied|forbidden|unauthorized|verification failed", re.IGNORECASE)

# $1 is the path, $2 how many seconds each command may take. `timeout -t` is that of busybox before 1.30. Nothing
# at a path below a folder that may not be searched does not mean that it is missing.
_DISK = """
LC_ALL=C; export LC_ALL; limit=;
if timeout -s KILL 1 true 2>/dev/null; then limit="timeout -s KILL $2";
elif timeout -t 1 -s KILL true 2>/dev/null; then limit="timeout -t $2 -s KILL"; fi;
$limit test -e "$1"; status=$?;
if [ $status -eq 1 ]; then
  near=$1; until $limit test -e "$near"; do near=$(dirname "$near"); done;
  if $limit test -x "$near"; then echo opscheck:missing; exit 0; fi;
  echo "$near may not be searched" >&2; exit 126;
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

# `df -P`: only the first and the last column may hold blanks.
_DF = re.compile(
    r"^(?P<source>.+?)\s+(?P<size>\d+)\s+(?P<used>\d+)\s+(?P<free>-?\d+)\s+(?:\d+%|-)\s+(?P<mounted_on>/.*)$",
    re.MULTILINE,
)
_TOTAL_AND_FREE = re.compile(r"^(\d+) (\d+)$", re.MULTILINE)
_OCTAL = re.compile(r"\\([0-7]{3})")
_KILOBYTE = 1024

Reader: TypeAlias = Callable[["HostSession", Any, float], Any]
"""Answers one kind of query within so many seconds."""


def open_session(target: HostTarget, timeout_s: float) -> "HostSession":
    """Run nothing there, which proves that something could be run. Raises ProbeError with `target_down`."""
    session = HostSession(target)
    session.run("exit 0", (), timeout_s)
    return session


class HostSession:
    """One host. Every question is a command of its own, so several can run at once."""

    def __init__(self, target: HostTarget) -> None:
        self._target = target

    def ask(self, query: Query[Any], timeout_s: float) -> Any:
        """The answer to `query`. Raises ProbeError."""
        reader = _READERS.get(type(query))
        if reader is None:
            raise ProbeError(ProblemKind.UNSUPPORTED, f"the host probe does not answer {query.name}")
        return reader(self, query, timeout_s)

    @property
    def keystore_password(self) -> str | None:
        """What opens the PKCS#12 files there."""
        password = self._target.keystore_password
        return password.get_secret_value() if password is not None else None

    def close(self) -> None:
        """Nothing stays open between two questions."""

    def run(self, script: str, arguments: tuple[str, ...], timeout_s: float) -> Finished:
        """
        Have the host's `sh` run `script`. Raises ProbeError when it did not, or did not end in time.

        With `target_down` when the host itself gave no sign of life.
        """
        # One line, because the user's own shell over there reads it first, and csh knows no text of several lines.
        one_line = f"echo opscheck:here; {' '.join(script.split())}"
        try:
            finished = self._run(one_line, arguments, monotonic() + timeout_s * _OWN_SHARE)
        except CommandStopped as stopped:
            raise _stopped(stopped, timeout_s) from None
        # A login shell may have greeted before.
        _, here, said = finished.stdout.partition(_HERE)
        if not here:
            raise _not_reached(finished)
        return Finished(finished.status, said, finished.stderr)

    def _run(self, script: str, arguments: tuple[str, ...], deadline: float) -> Finished:
        backend = self._backend(deadline)
        command = " ".join(["sh -c %s sh", *("%s" for _ in arguments)])
        try:
            result = backend.run(command, script, *arguments)
        except RuntimeError as error:
            # Raised with the result by the ssh backend, and with a text by others.
            result = error.args[0] if error.args else None
            if not hasattr(result, "stdout_bytes"):
                raise ProbeError(ProblemKind.UNREACHABLE, _one_line(str(error)), target_down=True) from None
        return Finished(result.rc, result.stdout_bytes, result.stderr_bytes)

    def _backend(self, deadline: float) -> Any:
        """The way to this host. What testinfra runs here for it is bounded; left alone it would wait for ever."""
        uri = self._target.uri.get_secret_value()
        try:
            backend = testinfra.backend.get_backend(uri)
        except (RuntimeError, ImportError, TypeError, ValueError) as error:
            raise ProbeError(ProblemKind.UNSUPPORTED, _one_line(str(error)), _URI_ADVICE, target_down=True) from None
        _require_program(backend.NAME)

        def run_local(command: str, *arguments: str) -> Any:
            line = backend.quote(command, *arguments)
            finished = run_locally(line, deadline)
            return backend.result(finished.status, line.encode(), finished.stdout, finished.stderr)

        backend.run_local = run_local
        # It would ask the host's Python for its encoding.
        backend.get_encoding = lambda: "utf-8"
        return backend


_URI_ADVICE = "write uri as local://, ssh://user@host, docker://name or kubectl://pod?namespace=name"


def _require_program(backend: str) -> None:
    program = _PROGRAMS.get(backend)
    if program is not None and shutil.which(program) is None:
        text = f"{program} is not installed where opscheck runs"
        advice = f"install {program}, or reach the host in another way"
        raise ProbeError(ProblemKind.UNSUPPORTED, text, advice, target_down=True)


def _stopped(stopped: CommandStopped, timeout_s: float) -> ProbeError:
    if not stopped.late:
        return ProbeError(ProblemKind.UNREADABLE, f"the answer is none of ours: {stopped}")
    return ProbeError(ProblemKind.LATE, f"no answer in {timeout_s:g} s", target_down=_HERE not in stopped.stdout)


def _not_reached(finished: Finished) -> ProbeError:
    said = (finished.stderr or finished.stdout).decode(errors="replace").splitlines()
    # kubectl and ssh tell the reason last.
    last = next((line for line in reversed(said) if line.strip()), "")
    text = _one_line(last) or f"no command could be run there (exit status {finished.status})"
    kind = ProblemKind.DENIED if _DENIED.search(text) else ProblemKind.UNREACHABLE
    return ProbeError(kind, text, target_down=True)


def _one_line(text: str, most: int = 300) -> str:
    line = "; ".join(part.strip() for part in text.splitlines() if part.strip())
    return line if len(line) <= most else line[: most - 1] + "…"


def _read_disk(session: HostSession, query: DiskUse, timeout_s: float) -> DiskAnswer:
    seconds = str(max(1, int(timeout_s * _MOUNT_SHARE)))
    finished = session.run(_DISK, (query.mount, seconds), timeout_s)
    output = finished.stdout.decode(errors="replace")
    if finished.status != 0:
        raise _no_disk(query.mount, finished, seconds)
    if output.startswith("opscheck:missing\n"):
        return DiskAnswer(path=query.mount, filesystem=None)
    return parse_disk(output)


def _no_disk(mount: str, finished: Finished, seconds: str) -> ProbeError:
    said = _one_line(finished.stderr.decode(errors="replace"))
    if finished.status in KILLED:
        return ProbeError(ProblemKind.LATE, f"{mount} did not answer in {seconds} s; a network filesystem that hangs?")
    if finished.status == _FORBIDDEN:
        return ProbeError(ProblemKind.DENIED, said, "name a user in the uri who may, or add ?sudo=true")
    if finished.status == NOT_FOUND:
        return ProbeError(ProblemKind.UNSUPPORTED, f"a command is missing there: {said}", "install coreutils there")
    return ProbeError(ProblemKind.UNREADABLE, f"df ended with {finished.status}: {said}")


def parse_disk(output: str) -> DiskAnswer:
    """What the script's output means. Raises ProbeError when it is not what df, stat and /proc/mounts print."""
    parts = sections(output)
    found = _DF.search(parts.get("space", ""))
    path = parts.get("path", "").removesuffix("\n")
    if found is None or not path:
        raise ProbeError(ProblemKind.UNREADABLE, f"df answered what it never does: {_one_line(output, 200)}")
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
            # Below zero when root has written into its reserve.
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
    Source, place, type and options of the mount that holds `path`; None without a table of mounts.

    The table and not df: of several mounts of one device, as every pod has them, busybox's df names the first.
    """
    best: tuple[str, str, str, str] | None = None
    for line in table.splitlines():
        fields = [_OCTAL.sub(lambda code: chr(int(code[1], 8)), field) for field in line.split(" ")]
        if len(fields) < 4 or not PurePosixPath(path).is_relative_to(fields[1]):  # noqa: PLR2004 - the columns we read
            continue
        # The last one at the same place lies on top.
        if best is None or len(fields[1]) >= len(best[1]):
            best = (fields[0], fields[1], fields[2], fields[3])
    return best


_READERS: Mapping[type[Query[Any]], Reader] = {
    DiskUse: _read_disk,
    ReadCertificateFiles: read_certificate_files,
    ResolveName: resolve,
    ReadBarman: read_barman,
    ReadPgbackrest: read_pgbackrest,
}
