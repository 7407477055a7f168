"""
Tiers of the tests, derived from the fixtures and parameters that each test uses. They are set as marks at collection.

A tier is what one target of the Makefile runs. A test on a server of several versions runs on the wheel's version in
`make test`, and on all others in `make stores`.
"""

import os
from collections.abc import Collection, Generator, Mapping
from pathlib import Path

import pytest

from tests.servers.stores import WHEELS_POSTGRES, WHEELS_REDIS

TIERS = {
    "basic": "`make test`: needs only what `make install` installs",
    "manners": "`make test-manners`: whole runs, new interpreters, workers, signals, the wheel",
    "stores": "`make stores`: fetched programs, and the other versions of PostgreSQL and Redis",
    "cluster": "`make cluster`: a real Kubernetes",
}
NO_SKIPS = "OPSCHECK_NO_SKIPS"
"""The environment variable under which a skipped test is a failure."""

AGAIN = "tiers/again"
"""The key in pytest's cache of the failed tests that `.ci/run` may run again."""

_FEW = 10

COLLECTED = pytest.StashKey[dict[str, frozenset[str]]]()
"""The tiers of every collected item by node id, before any is deselected."""

_TESTS = Path(__file__).parent
_CLUSTER = {"programs", "programs_that_move"}
_FETCHED = {
    "aws_program",
    "barman_packages",
    "busybox",
    "changing_over_programs",
    "contrib",
    "contrib_installation",
    "own_contrib",
    "memcached_program",
    "nginx_program",
    "parallel_packers",
    "pgbackrest_programs",
    "pgbouncer_program",
    "postgres_tls",
    "programs_of_backups",
    "prometheus_program",
    "redis_seven",
    "server_that_verifies",
}
_VERSIONED = {"installation", "redis_program"}
_PROCESSES = {"new_interpreter", "wheel"}
_IN_A_PROCESS = {"interpreter", "manner"}
_FORKED = "forked"
_WHOLE = ("demo", "systems/recovery/probe/drilling", "whole", "test_examples.py", "test_import_budget.py")
"""Tests that start all servers of the demo, restore whole backups or start interpreters: too slow for every commit."""


def tiers_of(item: pytest.Item) -> frozenset[str]:
    """The tiers of one item."""
    fixtures = set(getattr(item, "fixturenames", ()))
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    if fixtures & _CLUSTER:
        return frozenset({"cluster"})
    if fixtures & _FETCHED or any(getattr(value, "contrib", False) for value in parameters.values()):
        return frozenset({"stores"})
    if fixtures & _PROCESSES or any(parameters.get(name, _FORKED) != _FORKED for name in _IN_A_PROCESS):
        return frozenset({"manners"})
    first = "manners" if any(item.path.is_relative_to(_TESTS / place) for place in _WHOLE) else "basic"
    # A whole run is about opscheck, and about no version of a server.
    if fixtures & _VERSIONED and not fixtures & _IN_A_PROCESS and not _on_the_wheels(parameters):
        return frozenset({first, "stores"})
    return frozenset({first})


def _on_the_wheels(parameters: Mapping[str, object]) -> bool:
    """Only on the servers that `make test` uses by itself."""
    wheels = {"installation": WHEELS_POSTGRES, "redis_program": WHEELS_REDIS}
    return all(parameters.get(name, wheel) == wheel for name, wheel in wheels.items())


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks."""
    for name, text in TIERS.items():
        config.addinivalue_line("markers", f"{name}: {text}. Set by tests/tiers.py, not by hand.")
    config.addinivalue_line("markers", "since_postgres(major): the first version of PostgreSQL that has the feature.")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark each item with its tiers, and deselect what the server's version does not have."""
    late = [item for item in items if not _has_feature(item)]
    items[:] = [item for item in items if _has_feature(item)]
    config.hook.pytest_deselected(items=late)
    collected = config.stash.setdefault(COLLECTED, {})
    for item in items:
        collected[item.nodeid] = tiers_of(item)
        for tier in collected[item.nodeid]:
            item.add_marker(tier)


def _has_feature(item: pytest.Item) -> bool:
    wanted = max((mark.args[0] for mark in item.iter_markers("since_postgres")), default=0)
    return not wanted or item.callspec.params["installation"] >= wanted  # type: ignore[attr-defined]  # a parametrised one


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a skipped test where none may be skipped."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get(NO_SKIPS):
        report.outcome = "failed"
        report.longrepr = _forbidden(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a module."""
    report = yield
    if report.skipped and os.environ.get(NO_SKIPS):
        report.outcome = "failed"
        report.longrepr = _forbidden(report)  # type: ignore[assignment]  # text is shown as it is
    return report


def _forbidden(report: pytest.TestReport | pytest.CollectReport) -> str:
    why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
    return f"{why}; {NO_SKIPS} makes it a failure"


@pytest.hookimpl(trylast=True)  # after pytest has written which tests failed
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """List the failed tests for `.ci/run` where they may run again."""
    cache = getattr(session.config, "cache", None)
    if cache is None or hasattr(session.config, "workerinput"):
        return
    failed = sorted(cache.get("cache/lastfailed", {}))
    if may_run_again(exitstatus, failed):
        cache.set(AGAIN, failed)


def may_run_again(exit_status: int, failed: Collection[str]) -> bool:
    """Whether every other test has run and passed, so that a few may be flaky. A file that failed is not a test."""
    tests = all("::" in one for one in failed)
    return exit_status == pytest.ExitCode.TESTS_FAILED and 0 < len(failed) <= _FEW and tests
