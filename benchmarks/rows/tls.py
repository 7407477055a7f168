"""Many slow TLS endpoints, compared with the commands of shell guides and monitoring systems."""

import shutil
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from measure import BenchmarkError, Command, Median, Took, medians, once, run_well
from servers import serving
from table import Line, not_measured, ratio, seconds
from workspace import Workspace, workspace

from tests.servers.cache import NotThere
from tests.servers.debian import CHECK_HTTP, find_debian

_COUNT, _DELAY_S = 200, 0.1
_AIM_S = 2.0
_WHAT = f"{_COUNT} TLS endpoints of {_DELAY_S * 1000:.0f} ms"

# The command of a guide: it prints the dates, and neither judges them nor verifies anything.
_GUIDE = """for port in "$@"; do
  echo | {openssl} s_client -servername localhost -connect {host}:$port 2>/dev/null | {openssl} x509 -noout -dates
done"""
# With options that verify, and another process, it covers most of the conditions that opscheck judges.
_VERIFYING = """for port in "$@"; do
  echo | {openssl} s_client -connect {host}:$port -CAfile {folder}/ca.pem -verify_return_error -verify_ip {host} \\
    2>/dev/null | {openssl} x509 -noout -checkend 604800
done"""
# A process each, as a monitoring system starts it; of the certificate it judges the days that are left.
_CHECK_HTTP = """for port in "$@"; do {program} -H {host} -p $port -S -C 30,7 -t 10; done"""


def endpoints(runs: int) -> Iterable[Line]:
    """200 that take 100 ms each, compared with a loop of openssl s_client, and check_http -C one by one."""
    with workspace() as place, serving("tls", str(_COUNT), str(_DELAY_S), str(place.folder)) as server:
        host, ports = str(server.place["host"]), list(server.place["ports"])
        policy = _policy(place, host, ports)
        (ours,) = medians(runs, lambda: place.opscheck(policy, counts={"declared": _COUNT, "passed": _COUNT}))
        loops = _loops(place, host)
        others = {name: once(partial(_loop, place, script, says, ports)) for name, (script, says) in loops.items()}
        yield _line(ours, others)
        if _check_http() is None:
            yield not_measured(
                f"{_WHAT}, check_http -C", "monitoring-plugins-basic was not fetched: `make stores` does"
            )


def _line(ours: Median, others: dict[str, Median]) -> Line:
    return Line(
        what=_WHAT,
        opscheck=seconds(ours.wall_s),
        others=tuple(f"{name}: {seconds(one.wall_s)}" for name, one in others.items()),
        ratios=tuple(ratio(ours.wall_s, one.wall_s) for one in others.values()),
        aim=f"≤ {_AIM_S:g} s, whole process",
        met=ours.wall_s <= _AIM_S,
    )


def _policy(place: Workspace, host: str, ports: Sequence[int]) -> Path:
    entry = {"check": "tls.certificate", "ca_file": str(place.folder / "ca.pem"), "remaining": {"P1": "7d"}}
    return place.policy("tls", {}, [{"id": f"port-{port}", "endpoint": f"{host}:{port}", **entry} for port in ports])


def _loops(place: Workspace, host: str) -> dict[str, tuple[str, str]]:
    """Each loop, and its expected output for every endpoint."""
    openssl = shutil.which("openssl")
    if openssl is None:
        raise BenchmarkError("openssl not found on PATH")
    words = {"openssl": openssl, "host": host, "folder": str(place.folder)}
    loops = {
        "openssl s_client | openssl x509 -dates, in a loop": (_GUIDE.format(**words), "notAfter="),
        "the same, verifying": (_VERIFYING.format(**words), "Certificate will not expire"),
    }
    program = _check_http()
    if program is not None:
        loops["check_http -C, one by one"] = (_CHECK_HTTP.format(program=program, **words), "will expire on")
    return loops


def _loop(place: Workspace, script: str, says: str, ports: Sequence[int]) -> Took:
    took = run_well(Command(["/bin/sh", "-c", script, "loop", *map(str, ports)], place.folder, {}), says=says)
    if took.output.count(says) != len(ports):
        raise BenchmarkError(f"{says!r} was not printed for every endpoint:\n{took.output[-400:]}")
    return took


def _check_http() -> Path | None:
    try:
        return find_debian(*CHECK_HTTP) / "bin" / "check_http"
    except NotThere:
        return None
