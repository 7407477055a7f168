"""
Popeye, built from its Go module, once for this machine and outside the checkout.

The module in `alternatives/` pins it. `go install ...@version` also requests the list of its versions, which Go's
proxy refuses. A build of a module that requires it does not.
"""

import functools
import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from cluster import Missing, cache, find_go
from measure import Command, Took, run_well

_MODULE = Path(__file__).parent / "alternatives" / "popeye"
_PACKAGE = "github.com/derailed/popeye"
_BUILDING_TAKES_AT_MOST_S = 15 * 60.0


def version() -> str:
    """The version that is built: `v0.22.1`."""
    lines = (_MODULE / "go.mod").read_text().splitlines()
    return next(line.split()[-1] for line in lines if line.startswith(f"require {_PACKAGE} "))


@functools.cache
def program() -> Path:
    """Where it is, after it was built when it was not there. Raises Missing."""
    pinned = (_MODULE / "go.mod").read_bytes() + (_MODULE / "go.sum").read_bytes()
    place = cache() / f"popeye-{version()}-{hashlib.sha256(pinned).hexdigest()[:8]}"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix="building-") as unfinished:
            built = Path(unfinished) / "built"
            _build(built / "popeye")  # it sends its file name to servers
            built.rename(place)  # all at once: half of it is never there
    return place / "popeye"


def look(kubeconfig: Path, namespace: str, folder: Path) -> Took:
    """Let it look at a namespace as it does by itself. Raises Missing and BenchmarkError."""
    where = ("--kubeconfig", str(kubeconfig), "--namespace", namespace)
    words = (str(program()), *where, "--out=json", "--force-exit-zero", "--logs=none")
    return run_well(Command(words, folder, {"HOME": str(folder)}), says='"linter":"pods"')


def reason(error: Exception) -> str:
    """The reason why it was not measured, in one line. A process prints its error below its command."""
    lines = str(error).splitlines()
    return lines[min(1, len(lines) - 1)].strip()


def _build(to: Path) -> None:
    go = find_go()
    if go is None:
        raise Missing("Go not found: needed to build Popeye")
    print(f"  building Popeye {version()}, once for this machine …", flush=True)
    words = [go, "build", "-trimpath", "-ldflags=-s -w", "-o", str(to), _PACKAGE]
    environment = os.environ | {"GOWORK": "off", "GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0"}
    try:
        done = subprocess.run(
            words,
            cwd=_MODULE,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_BUILDING_TAKES_AT_MOST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Missing(f"Popeye was not built in {_BUILDING_TAKES_AT_MOST_S / 60:.0f} minutes") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it does not say why"])[-1]
        raise Missing(f"Popeye {version()} cannot be built here: {last}")
