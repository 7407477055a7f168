"""Many HTTP expectations on an API that takes its time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from measure import Median, Took, medians, once
from servers import serving
from table import Line, ratio, seconds
from workspace import Entry, Workspace, workspace

_WIDE = 64


@dataclass(frozen=True)
class _Load:
    """So many expectations, each answered so late."""

    count: int
    delay_s: float
    aim_s: float

    @property
    def name(self) -> str:
        return f"{self.count:,} HTTP expectations of {self.delay_s * 1000:.0f} ms"


def hundred(runs: int) -> Iterable[Line]:
    """100 that take 100 ms each, compared with pytest with httpx, testinfra with curl, and a bare pool of threads."""
    load = _Load(100, 0.1, 0.8)
    with workspace() as place, serving("slow_http", str(load.delay_s)) as api:
        alternatives = {
            "64 threads of httpx alone": medians(runs, lambda: _threads(place, api.url, load))[0],
            "pytest with httpx, serial": once(lambda: _plain(place, api.url, load)),
            "testinfra with curl": once(lambda: _testinfra(place, api.url, load)),
        }
        yield from _lines(place, api.url, load, alternatives, runs)


def thousand(runs: int) -> Iterable[Line]:
    """1,000 that take 50 ms each, compared with pytest with httpx and a bare pool of threads."""
    load = _Load(1000, 0.05, 3.0)
    with workspace() as place, serving("slow_http", str(load.delay_s)) as api:
        alternatives = {
            "64 threads of httpx alone": medians(runs, lambda: _threads(place, api.url, load))[0],
            "pytest with httpx, serial": once(lambda: _plain(place, api.url, load)),
        }
        yield from _lines(place, api.url, load, alternatives, runs)


def _lines(place: Workspace, url: str, load: _Load, alternatives: dict[str, Median], runs: int) -> Iterable[Line]:
    target = {"kind": "http", "base_url": url}
    manners: dict[str, dict[str, Entry]] = {
        f"one target with `concurrency: {_WIDE}`": {"api": {**target, "concurrency": _WIDE}},
        "a target each": {f"api-{number}": target for number in range(load.count)},
        "one target as it is by default": {"api": target},
    }
    policies = [_policy(place, str(number), load, targets) for number, targets in enumerate(manners.values())]
    measured = medians(runs, *(partial(_opscheck, place, policy, load) for policy in policies))
    for manner, median in zip(manners, measured, strict=True):
        yield Line(
            what=f"{load.name}, {manner}",
            opscheck=seconds(median.wall_s),
            others=tuple(f"{name}: {seconds(one.wall_s)}" for name, one in alternatives.items()),
            ratios=tuple(ratio(median.wall_s, one.wall_s) for one in alternatives.values()),
            aim=f"≤ {load.aim_s:g} s, whole process",
            met=median.wall_s <= load.aim_s,
        )


def _policy(place: Workspace, name: str, load: _Load, targets: Mapping[str, Entry]) -> Path:
    names = list(targets)
    expectations = [
        {
            "id": f"item-{number}",
            "check": "http.response",
            "target": names[number % len(names)],
            "path": f"/items/{number}",
            "status": 200,
            "json": [{"path": "status", "equals": "ok"}],
            "severity": "P1",
        }
        for number in range(load.count)
    ]
    return place.policy(name, targets, expectations)


def _opscheck(place: Workspace, policy: Path, load: _Load) -> Took:
    return place.opscheck(policy, counts={"declared": load.count, "passed": load.count})


def _plain(place: Workspace, url: str, load: _Load) -> Took:
    return place.pytest("plain_http.py", says=f"{load.count} passed", url=url, count=load.count)


def _testinfra(place: Workspace, url: str, load: _Load) -> Took:
    says = f"{load.count} passed"
    return place.pytest("testinfra_http.py", "testinfra.plugin", says=says, url=url, count=load.count)


def _threads(place: Workspace, url: str, load: _Load) -> Took:
    return place.script("threads.py", says=f"{load.count} passed", url=url, count=load.count)
