"""Tests on a real Kubernetes: which programs, one API server for all of them, and how many tests it saw."""

import functools
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.cluster.building import Programs, find_programs, is_required
from tests.cluster.control_plane import Cluster
from tests.cluster.crds import Published, definitions, establish
from tests.servers.cache import NotThere

FOLDERS = pytest.StashKey[list[Path]]()


@pytest.fixture(name="programs", scope="session")
def _programs() -> Programs:
    """The programs of an API server; the test is skipped, or fails where it must not be, when there are none."""
    return found()


@pytest.fixture(name="programs_that_move", scope="session")
def _programs_that_move() -> Programs:
    """The same with controllers and kwok among them."""
    return found(that_move=True)


def found(*, that_move: bool = False) -> Programs:
    """The programs, or the end of a test that has none."""
    try:
        return find_programs(that_move=that_move)
    except NotThere as why:
        end(why)


def end(why: NotThere) -> NoReturn:
    """Skip the test, or fail it where it must not be skipped."""
    (pytest.fail if is_required() else pytest.skip)(str(why))


@pytest.fixture(name="serve", scope="session")
def _serve(cluster: Cluster) -> Callable[[Published], None]:
    """Have the cluster serve what others have published, such as `tests.cluster.crds.CERT_MANAGER`."""

    @functools.cache
    def serve(published: Published) -> None:
        try:
            definitions(published)
        except NotThere as why:
            end(why)
        establish(cluster.api, published)

    return serve


@pytest.fixture(name="folder", scope="session")
def _folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes a folder for a cluster's logs, which the summary names when a test failed."""

    def folder(name: str) -> Path:
        made = tmp_path_factory.mktemp(name)
        request.config.stash.setdefault(FOLDERS, []).append(made)
        return made

    return folder


@pytest.fixture(name="cluster", scope="session")
def _cluster(programs: Programs, folder: Callable[[str], Path]) -> Iterator[Cluster]:
    """An API server in which nothing moves by itself."""
    with Cluster(programs, folder("cluster")) as cluster:
        yield cluster


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that reports, where this one is a worker of xdist."""
    told = getattr(session.config, "workeroutput", None)
    if told is not None:
        told["folders"] = [str(folder) for folder in session.config.stash.get(FOLDERS, [])]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear what a worker told."""
    told = getattr(node, "workeroutput", {}).get("folders", ())
    node.config.stash.setdefault(FOLDERS, []).extend(map(Path, told))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how much was held to a real server, for a run in which nothing was would look the same."""
    ran = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, ())]
    count = sum(report.when == "call" and report.nodeid.startswith("tests/cluster/") for report in ran)
    if not count:
        return
    server = find_programs()["kube-apiserver"]
    said = subprocess.run([server, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
    terminalreporter.write_line(f"real {said.strip()}: {count} test{'s' * (count != 1)} ran")
    if terminalreporter.stats.get("failed"):
        for folder in config.stash.get(FOLDERS, []):
            terminalreporter.write_line(f"what its servers logged: {folder}")
