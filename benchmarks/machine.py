"""The machine and the versions of a measurement."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import popeye
from cluster import Missing, find_go, programs

_PACKAGES = ("opscheck", "pytest", "httpx", "pytest-testinfra", "kubernetes", "urllib3", "msgspec", "pydantic")


def load() -> float:
    """The load of the machine: other processes change every number."""
    return os.getloadavg()[0]


def described(load: float) -> str:
    """Machine, date and versions, as Markdown. `load` is that of the beginning."""
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with {os.cpu_count()} cores (load {load:.1f} when it began), "
        f"{platform.system()} {platform.release()} {platform.machine()}, Python {platform.python_version()}, "
        f"{packages}.\n{_servers()}"
    )


def _servers() -> str:
    """The programs of the rows on a real Kubernetes; empty without one."""
    try:
        found = programs()
    except Missing:
        return ""
    kubernetes = _first_line(found["kube-apiserver"], "--version").removeprefix("Kubernetes ")
    etcd = _first_line(found["etcd"], "--version").removeprefix("etcd Version: ")
    kubectl = _first_line(found["kubectl"], "version", "--client").removeprefix("Client Version: ")
    go = find_go()
    built = f", {_first_line(go, 'version')}" if go else ""
    return (
        f"The real Kubernetes: kube-apiserver {kubernetes}, etcd {etcd}, kubectl {kubectl}, "
        f"Popeye {popeye.version()}{built}.\n"
    )


def _first_line(program: str | Path, *words: str) -> str:
    said = subprocess.run([program, *words], capture_output=True, text=True, timeout=30, check=True).stdout
    return said.splitlines()[0].strip()
