"""Tests on a real Kubernetes: which programs, one API server for all of them, and how many tests it saw."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.cluster.building import NotThere, Programs, find_programs, is_required
from tests.cluster.control_plane import Cluster


@pytest.fixture(name="programs", scope="session")
def _programs() -> Programs:
    """The programs of a control plane; the test is skipped, or fails where it must not be, when there are none."""
    try:
        return find_programs()
    except NotThere as why:
        without(str(why))


@pytest.fixture(name="cluster", scope="session")
def _cluster(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """An API server in which nothing moves by itself."""
    with Cluster(programs, tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture(name="moving", scope="session")
def _moving(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with its controllers, its scheduler, and fake kubelets."""
    if not programs.has_controllers:
        without(f"{programs.folder} has an API server, and neither controllers nor kwok: unset KUBEBUILDER_ASSETS")
    with Cluster(programs, tmp_path_factory.mktemp("moving")) as cluster:
        cluster.start_controllers()
        yield cluster


def without(why: str) -> None:
    """End a test that has no cluster."""
    (pytest.fail if is_required() else pytest.skip)(why)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much was held to a real server, for a run in which nothing was would look the same."""
    here = "tests/cluster/"
    reports = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, ())
        if report.when == "call" and report.nodeid.startswith(here)
    ]
    if reports:
        server = find_programs()["kube-apiserver"]
        said = subprocess.run([server, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
        count = f"{len(reports)} test{'s' * (len(reports) != 1)} ran"
        terminalreporter.write_line(f"real {said.strip()}: {count}")
