"""A project that has nothing to do with opscheck, in an environment where it is installed."""

import re
from collections.abc import Iterable

from measure import BenchmarkError, Took, medians
from table import Line, seconds
from workspace import Workspace, workspace

_FILES, _TESTS = 20, 10
_LEAST_RUNS = 15
_AIM_S = 0.02
_TIMES = re.compile(r"\bin [0-9.]+s\b")


def untouched(runs: int) -> Iterable[Line]:
    """`pytest --co -q` as installed, and with the plugin kept away; the same for testinfra's plugin."""
    with workspace() as place:
        _write_project(place)
        outputs: dict[str, set[str]] = {}
        installed, without, no_testinfra = medians(
            max(runs, _LEAST_RUNS),
            lambda: _collect(place, outputs),
            lambda: _collect(place, outputs, "opscheck"),
            lambda: _collect(place, outputs, "pytest11.testinfra"),
        )
    same = len(outputs[""] | outputs["opscheck"]) == 1
    added = installed.processor_s - without.processor_s
    theirs = installed.processor_s - no_testinfra.processor_s
    yield Line(
        what=f"a stranger's `pytest --co -q` ({_FILES * _TESTS} tests), processor time that the plugin adds",
        opscheck=f"{added * 1000:.0f} ms (whole: {seconds(installed.wall_s)} with, {seconds(without.wall_s)} without)",
        others=(f"testinfra's plugin adds: {theirs * 1000:.0f} ms",),
        aim=f"≤ {_AIM_S * 1000:.0f} ms",
        met=added <= _AIM_S,
    )
    yield Line(
        what="a stranger's output with and without the plugin",
        opscheck="identical" if same else "different",
        aim="identical",
        met=same,
    )


def _write_project(place: Workspace) -> None:
    (place.folder / "pyproject.toml").write_text('[tool.pytest]\nstrict = true\nfilterwarnings = ["error"]\n')
    for file in range(_FILES):
        tests = [f"def test_{number}(tmp_path):\n    assert tmp_path.exists()\n" for number in range(_TESTS)]
        (place.folder / f"test_part_{file}.py").write_text("\n\n".join(tests))


def _collect(place: Workspace, outputs: dict[str, set[str]], kept_away: str = "") -> Took:
    words = ["-p", f"no:{kept_away}"] if kept_away else []
    took = place.python("-m", "pytest", "--co", "-q", "-p", "no:cacheprovider", *words)
    if f"{_FILES * _TESTS} tests collected" not in took.output:
        raise BenchmarkError(f"expected {_FILES * _TESTS} tests collected:\n{took.output}")
    outputs.setdefault(kept_away, set()).add(_TIMES.sub("in a moment", took.output))
    return took
