"""Starting pytest for `opscheck run`, and looking for checks without running any."""

import gc
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from opscheck.bundle import bundled
from opscheck.core.exit_codes import UserError
from opscheck.core.registry import Registry
from opscheck.running.checks import Check, bound_check
from opscheck.running.collection import CollectionPaths
from opscheck.running.pytest_reports import result_of
from opscheck.running.settings import RUN_CONFIG


class DiscoveryError(UserError):
    """Check modules that cannot be imported; the text is pytest's own."""


def launch(policies: Sequence[Path], checks: Sequence[Path], options: Sequence[str]) -> int:
    """
    Judge a policy with pytest in this process, which ends soon after, and return its exit code.

    Each of the policy's files extends those before it.

    Every option is written with `=`, or pytest takes its value for a test path.
    """
    named = [f"--policy={policy}" for policy in policies]
    # Quieter than -q: the summary of the run is all that is shown.
    words = [*_base(), "--no-header", "-qq", "--tb=no", "-rN", *named, *options]
    gc.freeze()
    return _pytest([*words, *map(str, _with_bundled(checks))], [_OfTheCommand()])


def discover(folders: Iterable[Path], registry: Registry) -> dict[str, Check]:
    """
    Import the checks in `folders`, add what they judge to the registry, and return them by the names of their checks.

    Raises DiscoveryError, and BrokenSystemError.
    """
    places = list(folders)
    if not places:
        return {}
    finder = _Finder()
    words = [*_base(), "-p", "no:terminal", "--collect-only", *map(str, places)]
    ended = _pytest(words, [finder, CollectionPaths(places)])
    if finder.errors or ended not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        raise DiscoveryError("\n".join(finder.errors) or f"looking for checks ended with {ended!r}")
    for check in finder.checks.values():
        registry.add(check.kind)
    return finder.checks


def _pytest(words: list[str], plugins: list[object]) -> int:
    # What an environment asks of every pytest, such as -k or --collect-only, would leave checks out unnoticed.
    asked = os.environ.pop("PYTEST_ADDOPTS", None)
    try:
        return int(pytest.main(words, plugins=plugins))
    finally:
        if asked is not None:
            os.environ["PYTEST_ADDOPTS"] = asked


def _base() -> list[str]:
    here = os.getcwd()  # noqa: PTH109 - the folder as the shell names it, links and all
    return [
        f"--config-file={RUN_CONFIG}",
        # As little as a file near the current folder may another plugin that happens to be installed change a run.
        # PYTEST_PLUGINS still names those that checks of one's own need.
        "--disable-plugin-autoload",
        "-popscheck.plugin",
        f"--rootdir={here}",
        f"--confcutdir={here}",  # no conftest.py above it; pytest would begin at the folder of its configuration
        "--import-mode=importlib",
        "-pno:cacheprovider",
    ]


def _with_bundled(folders: Sequence[Path]) -> list[Path]:
    suite = bundled("checks")
    inside = any(folder.resolve().is_relative_to(suite) for folder in folders)
    return list(folders) if inside else [suite, *folders]


@dataclass(eq=False)  # pytest keeps its plugins in a set
class _Finder:
    """Takes down checks instead of making items of them."""

    checks: dict[str, Check] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(
        self, collector: pytest.Module | pytest.Class, name: str, obj: object
    ) -> list[pytest.Item] | None:
        # A helper of a check may take the expectation too; only what pytest would run is a check.
        is_test = callable(obj) and hasattr(obj, "__code__") and collector.funcnamefilter(name)
        check = bound_check(obj) if is_test else None  # type: ignore[arg-type]  # it is callable
        if check is not None:
            self.checks[check.kind.check_name] = check
        return None if isinstance(obj, type) else []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.errors.append(report.longreprtext)


class _OfTheCommand:
    """What pytest does otherwise for `opscheck run`."""

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """
        Keep the garbage collector from looking through what stays until the process ends: modules, items, results.

        pytest collects garbage ten times while it ends, to warn of what was not closed.
        """
        gc.freeze()

    @pytest.hookimpl(trylast=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Show why a check could not be collected, which `--tb=no` keeps back; the run ends there."""
        if report.failed:
            sys.stderr.write(f"{report.longreprtext}\n")

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Keep pytest's row of dots away; the summary says it better."""
        if not isinstance(report, pytest.TestReport) or result_of(report) is None:
            return None
        return ("xfailed" if hasattr(report, "wasxfail") else report.outcome), "", ""
