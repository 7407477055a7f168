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
    """Check modules that cannot be imported; the text is from pytest."""


def launch(policies: Sequence[Path], checks: Sequence[Path], options: Sequence[str]) -> int:
    """
    Run pytest on a policy in this process and return the exit code.

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
    Import the checks in `folders`, add their expectations to the registry, and return the checks by name.

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
    # Options for every pytest in the environment, such as -k or --collect-only, would silently leave checks out.
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
        # Disable plugin autoload: an installed plugin must not change the result.
        # PYTEST_PLUGINS still names the plugins that own checks need.
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
    """Records checks instead of creating items."""

    checks: dict[str, Check] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(
        self, collector: pytest.Module | pytest.Class, name: str, obj: object
    ) -> list[pytest.Item] | None:
        # A helper may take the expectation too; only functions that pytest would run are checks.
        is_test = callable(obj) and hasattr(obj, "__code__") and collector.funcnamefilter(name)
        check = bound_check(obj) if is_test else None  # type: ignore[arg-type]  # it is callable
        if check is not None:
            self.checks[check.kind.check_name] = check
        return None if isinstance(obj, type) else []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.errors.append(report.longreprtext)


class _OfTheCommand:
    """Changes of pytest's behaviour for `opscheck run`."""

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """
        Freeze the garbage collector for objects that live until the process ends: modules, items, results.

        pytest collects garbage ten times at its end, to warn of unclosed resources.
        """
        gc.freeze()

    @pytest.hookimpl(trylast=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Print collection errors, which `--tb=no` hides; the run ends there."""
        if report.failed:
            sys.stderr.write(f"{report.longreprtext}\n")

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Hide pytest's row of dots; the summary replaces it."""
        if not isinstance(report, pytest.TestReport) or result_of(report) is None:
            return None
        return ("xfailed" if hasattr(report, "wasxfail") else report.outcome), "", ""
