"""
What `make stores` adds to pytest, as a plugin: who runs what, and on which versions it ran.

Tests of one version run in one process, which starts a server of it once; what is of no version goes by file.
"""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.servers.cache import NotThere
from tests.servers.stores import debian, postgres, postgres_majors, redis, redis_majors, version_of

_NAMES = {"installation": "PostgreSQL", "redis_program": "Redis"}
_OUTCOMES = ("passed", "failed")


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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say for `--dist loadgroup` what belongs together."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))


def _group(item: pytest.Item) -> str:
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    return next((f"{name} {parameters[one]}" for one, name in _NAMES.items() if one in parameters), item.path.name)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much was held to each version, for a run in which nothing was would look the same."""
    reports = [one for outcome in _OUTCOMES for one in terminalreporter.stats.get(outcome, ()) if one.when == "call"]
    ran = Counter(report.nodeid.rpartition("@")[2] for report in reports)
    for name, version in versions():
        count = ran[f"{name} {version.partition('.')[0]}"]
        if name in _NAMES.values():
            terminalreporter.write_line(f"real {name} {version}: {count} test{'s' * (count != 1)} ran")


def main() -> None:
    """Fetch what is missing, and say what there is."""
    try:
        for name, version in versions():
            print(f"real {name} {version}")  # noqa: T201 -- for `make stores`
    except NotThere as why:
        raise SystemExit(f"make stores: {why}") from None


if __name__ == "__main__":
    main()
