"""The smallest run: one HTTP expectation, compared with one test of plain pytest."""

from collections.abc import Iterable, Mapping

from measure import Median, Took, medians
from servers import serving
from table import Line, megabytes, ratio, seconds
from workspace import Workspace, workspace

_AIM = 1.5
_LEAST_RUNS = 10


def whole_process(runs: int) -> Iterable[Line]:
    """In turns, so that a busy machine is busy for all of them."""
    with workspace() as place, serving("slow_http", "0") as api:
        ours, usual, alone, asking = medians(
            max(runs, _LEAST_RUNS),
            lambda: _opscheck(place, api.url),
            lambda: _usual(place),
            lambda: place.pytest("one.py", says="1 passed"),
            lambda: place.pytest("plain_http.py", says="1 passed", url=api.url, count=1),
        )
    yield _line(ours, {"pytest of one trivial test, with the plugins installed here": usual})
    without = {
        "pytest of one trivial test, without plugins": alone,
        "pytest of one request by httpx, without plugins": asking,
    }
    yield _line(ours, without)


def _line(ours: Median, others: Mapping[str, Median]) -> Line:
    first = next(iter(others.values()))
    return Line(
        what="one HTTP expectation, whole process",
        opscheck=f"{seconds(ours.wall_s)}, {megabytes(ours.peak_bytes)}",
        others=tuple(f"{name}: {seconds(one.wall_s)}, {megabytes(one.peak_bytes)}" for name, one in others.items()),
        ratios=tuple(ratio(ours.wall_s, one.wall_s) for one in others.values()),
        aim=f"≤ {_AIM} x pytest",
        met=ours.wall_s <= _AIM * first.wall_s,
    )


def _opscheck(place: Workspace, url: str) -> Took:
    entry = {"id": "one", "check": "http.response", "target": "api", "path": "/", "status": 200, "severity": "P1"}
    policy = place.policy("one", {"api": {"kind": "http", "base_url": url}}, [entry])
    return place.opscheck(policy, counts={"declared": 1, "passed": 1})


def _usual(place: Workspace) -> Took:
    test = place.borrowed("alternatives/one.py")
    return place.python("-m", "pytest", "-q", "-p", "no:cacheprovider", str(test))
