"""
What `make stores` adds to pytest, as a plugin: who runs what, and on which versions it ran.

Tests of one version run in one process, which starts a server of it once; what is of no version goes by file.
"""

import re
from collections import Counter
from collections.abc import Iterator

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.servers.barman import BARMAN, find_barman
from tests.servers.cache import NotThere
from tests.servers.debian import find_debian
from tests.servers.pgbackrest import find_pgbackrest
from tests.servers.stores import debian, postgres, postgres_majors, redis, redis_majors, version_of

# As the fixtures name their parameters.
_VERSIONED = re.compile(r"\[(?:.*-)?((?:postgres|redis)[0-9]+)(?=[-\]])")


def group(nodeid: str) -> str:
    """What belongs together: the version that the test is about, such as `postgres13`, else its file."""
    found = _VERSIONED.search(nodeid)
    return found[1] if found else nodeid.partition("::")[0]


class ByVersion(LoadScopeScheduling):
    """Gives each process a version at a time. (Groups of xdist 3.8 are lost on pytest 9.2, which keeps a nodeid.)"""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByVersion:
    """Whatever `--dist` says."""
    return ByVersion(config, log)


def pytest_report_header() -> list[str]:
    """The exact versions."""
    return [f"real {name} {version}" for name, version in versions()]


def versions() -> Iterator[tuple[str, str]]:
    """Each server that is tested on. Raises NotThere."""
    for major in postgres_majors():
        yield "PostgreSQL", version_of(postgres(major) / "bin" / "postgres")
    for major in redis_majors():
        yield "Redis", version_of(redis(major))
    yield "PgBouncer", version_of(debian() / "pgbouncer")
    yield "pgBackRest", version_of(find_pgbackrest(), "version")
    yield "memcached", version_of(find_debian("memcached") / "bin" / "memcached")
    find_barman()
    yield "Barman", BARMAN


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much was held to each version, for a run in which nothing was would look the same."""
    reports = [one for outcome in ("passed", "failed") for one in terminalreporter.stats.get(outcome, ())]
    ran = Counter(group(report.nodeid) for report in reports if report.when == "call")
    for major in postgres_majors():
        _say(terminalreporter, f"PostgreSQL {major}", ran[f"postgres{major}"])
    for major in redis_majors():
        _say(terminalreporter, f"Redis {major}", ran[f"redis{major}"])


def _say(reporter: pytest.TerminalReporter, what: str, count: int) -> None:
    reporter.write_line(f"real {what}: {count} test{'s' * (count != 1)} ran")


def main() -> None:
    """Fetch what is missing, and say what there is."""
    try:
        for name, version in versions():
            print(f"real {name} {version}")  # noqa: T201 -- for `make stores`
    except NotThere as why:
        raise SystemExit(f"make stores: {why}") from None


if __name__ == "__main__":
    main()
