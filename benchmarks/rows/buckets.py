"""The age of the newest of 100,000 backups, compared with `aws s3 ls | sort | tail` of a shell guide."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from cluster import Missing
from measure import Command, Took, medians, run_well
from servers import Server, serving
from table import Line, megabytes, not_measured, ratio, seconds
from workspace import Workspace, workspace

from tests.servers.cache import NotThere, cached, last_line, make_once

_OBJECTS, _LATE_S = 100_000, 0.02
_WHAT = f"freshness over a bucket of {_OBJECTS:,} objects in folders by day, each request {_LATE_S * 1000:.0f} ms"
_AWSCLI = "awscli==1.46.3"
_INSTALLING_TAKES_AT_MOST_S = 300.0
_MOST_REQUESTS = 10
_NAMES = "backups/%Y/%m/%d/wal-%Y%m%d-%H%M%S.gz"


def freshness(runs: int) -> Iterable[Line]:
    """Requests and time of both, on a server that lists as S3 does."""
    try:
        program = _aws()
    except Missing as why:
        yield not_measured(_WHAT, why)
        return
    with workspace() as place, serving("bucket", str(_OBJECTS), str(_LATE_S)) as server, _credentials():
        target = {"kind": "s3", "bucket": "backups", "endpoint_url": server.url, "path_style": True}
        fresh = {"id": "fresh", "check": "backup.objects", "target": "bucket", "names": _NAMES, "age": {"P1": "26h"}}
        policy = place.policy("bucket", {"bucket": target}, [fresh])
        asks = (partial(place.opscheck, policy, counts={"passed": 1}), partial(_guide, place, program, server))
        ours, theirs = medians(min(runs, 3), *asks)
        requests, guides = (_requests(server, one) for one in asks)
    guide = f"{guides} requests, {seconds(theirs.wall_s)}, {megabytes(theirs.peak_bytes)}"
    yield Line(
        what=_WHAT,
        opscheck=f"{requests} requests, {seconds(ours.wall_s)}, {megabytes(ours.peak_bytes)}",
        others=(f"aws s3 ls --recursive, sort, tail -1: {guide}",),
        ratios=(ratio(ours.wall_s, theirs.wall_s),),
        aim=f"≤ {_MOST_REQUESTS} requests",
        met=requests <= _MOST_REQUESTS,
    )


def _requests(server: Server, measured: Callable[[], Took]) -> int:
    server.ask("requests")
    measured()
    return int(server.ask("requests"))


def _guide(place: Workspace, program: Path, server: Server) -> Took:
    listing = [
        sys.executable,
        str(program),
        "--endpoint-url",
        server.url,
        "s3",
        "ls",
        "--recursive",
        "s3://backups/backups/",
    ]
    words = ["sh", "-c", f"{shlex.join(listing)} | sort | tail -1"]
    variables = {"PYTHONPATH": str(program.parent.parent)}
    return run_well(Command(words, place.folder, variables), says="wal-")


@contextmanager
def _credentials() -> Iterator[None]:
    """Credentials in the environment of both; the server requires none."""
    wanted: Mapping[str, str] = {
        "AWS_ACCESS_KEY_ID": "AKIABENCH",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
    }
    before = dict(os.environ)
    os.environ.update(wanted)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _aws() -> Path:
    """AWS's own command line, in an environment of its own in the cache. Raises Missing."""
    place = cached(_AWSCLI.replace("==", "-"))
    try:
        if not place.exists():
            make_once(place, _install, _INSTALLING_TAKES_AT_MOST_S)
    except NotThere as why:
        raise Missing(str(why)) from why
    return place / "bin" / "aws"


def _install(folder: Path, within: float) -> None:
    words = [sys.executable, "-m", "pip", "install", "-q", "--target", str(folder), _AWSCLI]
    installed = subprocess.run(words, capture_output=True, text=True, timeout=within, check=False)
    if installed.returncode:
        raise NotThere(f"{_AWSCLI} could not be installed: {last_line(installed.stderr)}")
