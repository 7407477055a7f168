"""Programs that some machines have and others lack: the machine's own, else fetched from Debian's packages."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.servers.cache import NotThere
from tests.servers.debian import BUSYBOX, NGINX, PACKERS, PROMETHEUS, find_debian
from tests.servers.fetching import cannot


@pytest.fixture(scope="session")
def busybox() -> Path:
    """The program, one for many tools."""
    # Itself and no script around it: it looks at its own name, and at its own path.
    return _found("busybox", BUSYBOX, "root/bin", "root/usr/bin")


@pytest.fixture(scope="session")
def busybox_tools(busybox: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with each tool of busybox, as Alpine has them."""
    folder = tmp_path_factory.mktemp("busybox")
    subprocess.run([busybox, "--install", "-s", folder], check=True, timeout=30)
    return folder


@pytest.fixture(scope="session")
def prometheus_program() -> Path:
    """The server."""
    return _found("prometheus", PROMETHEUS, "bin")


@pytest.fixture(scope="session")
def nginx_program() -> Path:
    """The web server."""
    return _found("nginx", NGINX, "bin")


@pytest.fixture(scope="session")
def parallel_packers() -> Path:
    """The folder with pigz and pzstd."""
    try:
        return find_debian(*PACKERS) / "bin"
    except NotThere as why:
        cannot(str(why))


def _found(program: str, packages: Sequence[str], *places: str) -> Path:
    here = shutil.which(program)
    if here is not None:
        return Path(here)
    try:
        folders = [find_debian(*packages) / place for place in places]
        return next(folder / program for folder in folders if (folder / program).exists())
    except NotThere as why:
        cannot(str(why))
