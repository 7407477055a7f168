"""Sessions with machines, containers and pods: testinfra runs small read-only shell scripts there."""

import re
import shutil
from time import monotonic
from typing import Any

import testinfra.backend

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.query import Query
from opscheck.core.units import format_duration
from opscheck.systems.host.disk import DiskUse
from opscheck.systems.host.mounts import ListMounts
from opscheck.systems.host.name_resolution import ResolveName
from opscheck.systems.host.probe.commands import CommandStopped, Finished, one_line, run_locally
from opscheck.systems.host.probe.disk import read_disk
from opscheck.systems.host.probe.mounts import list_mounts
from opscheck.systems.host.probe.name_resolution import resolve
from opscheck.systems.host.target import HostTarget

# Share of the time limit, so that the probe ends a command before the engine cancels the query.
_OWN_SHARE = 0.95

# The first line of every script's output. Without it the host was not reached, for any exit status: ssh, docker and
# kubectl mix their own with that of the command.
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


def open_session(target: HostTarget, timeout_s: float) -> "HostSession":
    """Run an empty script there, which proves that the host is reachable. Raises ProbeError with `target_down`."""
    session = HostSession(target)
    session.run("exit 0", (), timeout_s)
    return session


class HostSession:
    """One host. Each query runs its own command, so that several can run concurrently."""

    def __init__(self, target: HostTarget) -> None:
        self._target = target

    def ask(self, query: Query[Any], timeout_s: float) -> Any:
        """The answer to `query`. Raises ProbeError."""
        if isinstance(query, DiskUse):
            return read_disk(self.run, query, timeout_s)
        if isinstance(query, ListMounts):
            return list_mounts(self.run, timeout_s)
        if isinstance(query, ResolveName):
            return resolve(self.run, query, timeout_s)
        raise ProbeError(ProblemKind.UNSUPPORTED, f"the host probe does not answer {query.name}")

    @property
    def keystore_password(self) -> str | None:
        """The password of the PKCS#12 files there."""
        password = self._target.keystore_password
        return password.get_secret_value() if password is not None else None

    def close(self) -> None:
        """No connection stays open between queries."""

    def run(self, script: str, arguments: tuple[str, ...], timeout_s: float) -> Finished:
        """
        Run `script` with the host's `sh`. Raises ProbeError when it did not run, or timed out.

        With `target_down` when the host itself did not respond.
        """
        # One line: the user's login shell reads it first, and csh has no multi-line strings.
        line = f"echo opscheck:here; {' '.join(script.split())}"
        try:
            finished = self._run(line, arguments, monotonic() + timeout_s * _OWN_SHARE)
        except CommandStopped as stopped:
            raise _stopped(stopped, timeout_s) from None
        # A login shell may have printed a greeting before.
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
            # The ssh backend raises it with the result, others with a text.
            result = error.args[0] if error.args else None
            if not hasattr(result, "stdout_bytes"):
                raise ProbeError(ProblemKind.UNREACHABLE, one_line(str(error)), target_down=True) from None
        return Finished(result.rc, result.stdout_bytes, result.stderr_bytes)

    def _backend(self, deadline: float) -> Any:
        """Testinfra's backend for this host, with local commands that end at `deadline`; its own wait forever."""
        uri = self._target.uri.get_secret_value()
        try:
            backend = testinfra.backend.get_backend(uri)
        except (RuntimeError, ImportError, TypeError, ValueError) as error:
            raise ProbeError(ProblemKind.UNSUPPORTED, one_line(str(error)), _URI_ADVICE, target_down=True) from None
        _require_program(backend.NAME)

        def run_local(command: str, *arguments: str) -> Any:
            line = backend.quote(command, *arguments)
            finished = run_locally(line, deadline)
            return backend.result(finished.status, line.encode(), finished.stdout, finished.stderr)

        backend.run_local = run_local
        # The default runs Python on the host to detect its encoding.
        backend.get_encoding = lambda: "utf-8"
        return backend


_URI_ADVICE = "write uri as local://, ssh://user@host, docker://name or kubectl://pod?namespace=name"


def _require_program(backend: str) -> None:
    program = _PROGRAMS.get(backend)
    if program is not None and shutil.which(program) is None:
        text = f"{program} is not installed where opscheck runs"
        advice = f"install {program}, or connect to the host in another way"
        raise ProbeError(ProblemKind.UNSUPPORTED, text, advice, target_down=True)


def _stopped(stopped: CommandStopped, timeout_s: float) -> ProbeError:
    if not stopped.late:
        return ProbeError(ProblemKind.UNREADABLE, f"unexpected output: {stopped}")
    return ProbeError(
        ProblemKind.LATE, f"no answer in {format_duration(timeout_s)}", target_down=_HERE not in stopped.stdout
    )


def _not_reached(finished: Finished) -> ProbeError:
    said = (finished.stderr or finished.stdout).decode(errors="replace").splitlines()
    # kubectl and ssh print the reason last.
    last = next((line for line in reversed(said) if line.strip()), "")
    text = one_line(last) or f"no command ran there (exit status {finished.status})"
    kind = ProblemKind.DENIED if _DENIED.search(text) else ProblemKind.UNREACHABLE
    return ProbeError(kind, text, target_down=True)
