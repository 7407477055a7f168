"""The smallest run there is: one HTTP expectation, beside one test of bare pytest."""

from collections.abc import Iterable

from measure import Took, medians
from servers import serving
from table import Line, megabytes, seconds
from workspace import Workspace, workspace

_AIM = 1.5
_LEAST_RUNS = 10


def whole_process(runs: int) -> Iterable[Line]:
    """In turns, so that a busy machine is busy for all of them."""
    with workspace() as place, serving("slow_http", "0") as api:
        ours, bare, asking, usual = medians(
            max(runs, _LEAST_RUNS),
            lambda: _opscheck(place, api.url),
            lambda: place.pytest("one.py", says="1 passed"),
            lambda: place.pytest("plain_http.py", says="1 passed", url=api.url, count=1),
            lambda: _usual(place),
        )
    names = ("pytest, no plugins, one trivial test", "the same with an httpx request", "pytest with the plugins here")
    others = (bare, asking, usual)
    yield Line(
        what="one HTTP expectation, whole process",
        opscheck=f"{seconds(ours.wall_s)}, {megabytes(ours.peak_bytes)}",
        beside=tuple(
            f"{name}: {seconds(one.wall_s)}, {megabytes(one.peak_bytes)}"
            for name, one in zip(names, others, strict=True)
        ),
        ratio=tuple(f"{ours.wall_s / one.wall_s:.2f} x" for one in others),
        aim=f"≤ {_AIM} x bare pytest",
        met=ours.wall_s <= _AIM * bare.wall_s,
    )


def _opscheck(place: Workspace, url: str) -> Took:
    entry = {"id": "one", "check": "http.response", "target": "api", "path": "/", "status": 200, "severity": "P1"}
    policy = place.policy("one", {"api": {"kind": "http", "base_url": url}}, [entry])
    return place.opscheck(policy, counts={"declared": 1, "passed": 1})


def _usual(place: Workspace) -> Took:
    test = place.borrowed("alternatives/one.py")
    return place.python("-m", "pytest", "-q", "-p", "no:cacheprovider", str(test))
