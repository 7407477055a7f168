"""A target that drops every packet, under fifty expectations."""

from collections.abc import Iterable

from measure import BenchmarkError, Took, medians, once
from servers import serving
from table import Line, ratio, seconds
from workspace import Workspace, workspace

_COUNT, _TRIED = 50, 2
_TIMEOUT_S = 5
_START_S = 1.5


def one_timeout(runs: int) -> Iterable[Line]:
    """Compared with plain pytest, which waits for each. Two of its tests are measured, and fifty computed."""
    with workspace() as place, serving("dead") as target:
        ours = medians(min(runs, 2), lambda: _opscheck(place, target.url))[0]
        two = once(lambda: _plain(place, target.url))
    each = two.wall_s / _TRIED
    yield Line(
        what=f"one dead target under {_COUNT} expectations, time-out {_TIMEOUT_S} s",
        opscheck=f"{seconds(ours.wall_s)}, one finding, {_COUNT - 1} blocked by it",
        others=(f"pytest with httpx: {each * _COUNT:.0f} s ({seconds(each)} for each of {_TRIED}, computed)",),
        ratios=(ratio(ours.wall_s, each * _COUNT),),
        aim=f"one time-out ({_TIMEOUT_S} s and the start of a process)",
        met=ours.wall_s <= _TIMEOUT_S + _START_S,
    )


def _opscheck(place: Workspace, url: str) -> Took:
    entries = [
        {
            "id": f"item-{number}",
            "check": "http.response",
            "target": "api",
            "path": f"/items/{number}",
            "status": 200,
            "severity": "P1",
        }
        for number in range(_COUNT)
    ]
    policy = place.policy("dead", {"api": {"kind": "http", "base_url": url}}, entries)
    took = place.opscheck(policy, counts={"declared": _COUNT, "unknown": _COUNT}, exit_code=20)
    blocked = [result["blocked_by"] for result in place.record()["results"]].count("item-0")
    if blocked != _COUNT - 1:
        raise BenchmarkError(f"expected {_COUNT - 1} expectations blocked by item-0, got {blocked}:\n{took.output}")
    return took


def _plain(place: Workspace, url: str) -> Took:
    return place.pytest("plain_http.py", exit_code=1, says=f"{_TRIED} failed", url=url, count=_TRIED)
