"""PostgreSQL's programs, run on untrusted data: with few privileges, without secrets, and within a time limit."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opscheck.systems.postgres.programs import Installation
from opscheck.transport.processes import copy_programs, give, group_of, reachable, unprivileged_user

SERVICE = "drill"
"""The service name of the connection of the role that restores."""
_KEPT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZDIR", "SYSTEMROOT")


@dataclass(frozen=True)
class Programs:
    """
    The programs of one installation, for the unprivileged user.

    folder: the drill's own folder, which is their home. It contains the file with the connection's parameters, since
    all users can read command lines.
    """

    installation: Installation
    folder: Path

    def popen(self, program: str, *words: str | Path, **options: Any) -> "subprocess.Popen[bytes]":
        """Start one of them."""
        command = self.command(program, *words)
        return subprocess.Popen(command, **self.options(), **options)  # noqa: S603 - a program of PostgreSQL

    def run(self, program: str, *words: str | Path, service: str = SERVICE) -> "subprocess.CompletedProcess[str]":
        """Run one of them to its end; the drill's own time limit ends it."""
        return subprocess.run(  # noqa: S603 - a program of PostgreSQL
            self.command(program, *words),
            **self.options(service),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )

    def command(self, program: str, *words: str | Path) -> list[str]:
        """Its command line."""
        return [str(self.installation.program(program)), *map(str, words)]

    def options(self, service: str = SERVICE) -> dict[str, Any]:
        """The options of its process: the environment contains no secret, and no setting of the user of opscheck."""
        user = unprivileged_user()
        environment = {
            **{name: os.environ[name] for name in _KEPT if name in os.environ},
            "PATH": f"{self.installation.folder}:/usr/bin:/bin",
            "HOME": str(self.folder),
            "LC_ALL": "C",
            "PGSERVICEFILE": str(self.folder / service),
            "PGSERVICE": service,
            "PGCONNECT_TIMEOUT": "10",
        }
        return {
            "cwd": self.folder,
            "env": environment,
            "user": user,
            "group": group_of(user),
            "extra_groups": [] if user else None,
        }


def reachable_programs(found: Installation, folder: Path) -> Programs:
    """The programs, copied if the unprivileged user cannot read them, as in root's home."""
    if unprivileged_user() is None or reachable(found.folder):
        return Programs(found, folder)
    copied = copy_programs(found.folder.parent, folder / "programs")
    return Programs(Installation(copied / found.folder.name, found.version, found.number), folder)


def write_service(folder: Path, parameters: dict[str, Any], name: str = SERVICE) -> None:
    """Write the parameters of a connection to a private file for the programs."""
    place = folder / name
    place.touch(mode=0o600)
    lines = [f"{key}={value}" for key, value in parameters.items() if value not in (None, "")]
    place.write_text("\n".join([f"[{name}]", *lines, ""]))
    give(place, unprivileged_user())
