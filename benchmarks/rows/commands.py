"""The commands that contact no target, on the shipped daily policy, compared with another version of opscheck."""

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from measure import Command, Took, medians, run_well
from table import Line, ratio, seconds
from workspace import Workspace, workspace

BESIDE = "OPSCHECK_BESIDE"
"""The environment variable with the Python of an environment that has another version."""

_DAILY = Path(__file__).parents[2] / "policies" / "daily.yaml"
_COMMANDS: dict[str, tuple[tuple[str, ...], float]] = {
    "--help": (("--help",), 0.1),
    "--version": (("--version",), 0.1),
    "validate": (("validate", str(_DAILY)), 0.5),
    "list": (("list", str(_DAILY)), 0.5),
    "explain": (("explain", "pods", "-p", str(_DAILY)), 0.5),
    "schema": (("schema",), 0.5),
}
_VARIABLES = {
    "API_URL": "http://127.0.0.1:1",
    "API_TOKEN": "0123456789",
    "API_ENDPOINT": "127.0.0.1:1",
    "DATABASE_URL": "postgresql://user:0123456789@127.0.0.1:1/db",
    "REDIS_URL": "redis://127.0.0.1:1",
}
_LEAST_RUNS = 7


def describing(runs: int) -> Iterable[Line]:
    """Each command as a whole process, in turns with the other version."""
    other = os.environ.get(BESIDE)
    pythons = [sys.executable, *([other] if other else [])]
    with workspace() as place:
        for name, (words, aim_s) in _COMMANDS.items():
            ours, *others = medians(max(runs, _LEAST_RUNS), *(_command(place, python, words) for python in pythons))
            yield Line(
                what=f"`opscheck {name}`, whole process",
                opscheck=seconds(ours.wall_s),
                others=tuple(f"the version at {BESIDE}: {seconds(one.wall_s)}" for one in others),
                ratios=tuple(ratio(ours.wall_s, one.wall_s) for one in others),
                aim=f"≤ {aim_s} s",
                met=ours.wall_s <= aim_s,
            )


def _command(place: Workspace, python: str, words: tuple[str, ...]) -> Callable[[], Took]:
    return lambda: run_well(Command([python, "-m", "opscheck", *words], place.folder, _VARIABLES))
