"""
Programs from Debian's packages, unpacked into the cache: nothing is installed on the machine.

Each is started by a small script in `bin`, which tells it where the libraries are that this machine lacks.
"""

import functools
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.servers.cache import NotThere, cached, fingerprint, last_line, make_once
from tests.servers.fetching import FETCHING_TAKES_AT_MOST, may_fetch, run

SERVERS = ("redis-tools", "redis-server", "redis-sentinel", "pgbouncer")
"""`bin` has redis-server, redis-cli, redis-sentinel and pgbouncer."""

PLUGINS = ("check-postgres", "check-pgactivity")
"""The plugins that the benchmark is compared with; `bin` has check_postgres and check_pgactivity."""

CHECK_HTTP = ("monitoring-plugins-basic",)
"""`bin` has check_http, with which monitoring systems look at certificates."""

CHANGING_OVER = ("slapd", "mailutils-imap4d", "mailutils-pop3d")
"""`bin` has slapd, imap4d and pop3d, which begin without TLS and change over to it."""

BUSYBOX = ("busybox",)
"""`bin` has busybox."""

PROMETHEUS = ("prometheus",)
"""`bin` has prometheus."""

PACKERS = ("pigz", "zstd")
"""`bin` has pigz and pzstd, which pack on several processors."""

NGINX = ("nginx",)
"""`bin` has nginx."""

# The machine's own, for the machine's own loader. Another would not fit.
_NEVER = {"libc6", "libc-bin"}
_PROGRAMS = ("usr/bin", "usr/sbin", "usr/lib/nagios/plugins")
_SCRIPT = """\
#!/bin/sh
root="$(dirname "$0")/../root"
LD_LIBRARY_PATH="{libraries}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}" PERL5LIB="$root/usr/share/perl5" \\
exec "$root/{program}" "$@"
"""


@functools.cache
def find_debian(*packages: str) -> Path:
    """The folder with `bin` of these packages. Fetches them where that is asked for. Raises NotThere."""
    release = Path("/etc/os-release")
    place = cached(fingerprint(_SCRIPT.encode(), release.read_bytes() if release.exists() else b"", *_bytes(packages)))
    if not place.is_dir():
        may_fetch(", ".join(packages))
        make_once(place, functools.partial(_fetch, packages), FETCHING_TAKES_AT_MOST)
    return place


def _bytes(words: Sequence[str]) -> list[bytes]:
    return [word.encode() for word in words]


def _fetch(packages: Sequence[str], folder: Path, within: float) -> None:
    apt = _Apt(packages, folder.with_name("apt"), within)
    apt.ask("update")
    apt.ask("download", *sorted({*packages, *apt.missing()}))
    folder.mkdir()
    for package in sorted(apt.folder.glob("*.deb")):
        apt.run("dpkg", "-x", str(package), str(folder / "root"))
    _write_scripts(folder)


class _Apt:
    """apt-get with lists and a cache of its own, which an ordinary user can have too."""

    def __init__(self, packages: Sequence[str], folder: Path, within: float) -> None:
        self.folder = folder
        self._packages = packages
        self._within = within
        for made in ("lists/partial", "archives/partial"):
            (folder / made).mkdir(parents=True)
        own = [f"Dir::State::lists={folder}/lists", f"Dir::Cache={folder}", f"Dir::Cache::archives={folder}/archives"]
        # Its own user for downloads cannot write here; and nothing that anybody else uses is locked or changed.
        own += ["APT::Sandbox::User=", "Debug::NoLocking=1"]
        self._options = [word for option in own for word in ("-o", option)]

    def ask(self, *words: str) -> str:
        """What apt-get says."""
        return self.run("apt-get", "-q", *self._options, *words)

    def missing(self) -> set[str]:
        """What these packages need that this machine lacks: lines such as `Inst liblzf1 (3.6-3 Debian [amd64])`."""
        said = self.ask("install", "--simulate", "--no-install-recommends", *self._packages)
        lines = [line.split() for line in said.splitlines()]
        # With a version in square brackets it is there, in another.
        added = {words[1] for words in lines if words[:1] == ["Inst"] and not words[2].startswith("[")}
        return added - _NEVER

    def run(self, program: str, *words: str) -> str:
        """Raises NotThere when that fails."""
        what = ", ".join(self._packages)
        found = shutil.which(program)
        if found is None:
            raise NotThere(f"{what} cannot be fetched: there is no {program} on PATH; this needs a Debian")
        done = run([found, *words], self.folder, self._within)
        if done.returncode:
            raise NotThere(f"{what} cannot be fetched: {program} said: {last_line(done.stderr or done.stdout)}")
        return done.stdout


def _write_scripts(folder: Path) -> None:
    root = folder / "root"
    libraries = sorted({found.parent.relative_to(root) for found in root.glob("**/lib/*/lib*.so.*")})
    path = ":".join(f"$root/{place}" for place in libraries)
    (folder / "bin").mkdir()
    for program in (found for place in _PROGRAMS for found in (root / place).glob("*") if not found.is_dir()):
        script = folder / "bin" / program.name
        script.write_text(_SCRIPT.format(libraries=path, program=program.relative_to(root)))
        script.chmod(0o755)
