"""
Try a seeded sample of mutants of the code that decides verdicts, each with the tests that run its line.

cosmic-ray runs one test command on every mutant, and mutmut mutates whole modules; here the suite takes minutes, and a
sample of all modules says more. The tests come from one run of coverage that records which test runs which line.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import click
import pytest
from coverage import CoverageData

from tests.mutation.mutations import Mutation, find_mutations

ROOT = Path(__file__).parents[2]
EQUIVALENT = Path(__file__).with_name("equivalent.txt")
"""Survivors that change no verdict, one a line as the command prints them, each with its reason after `  #  `."""
JUDGING = ("checks", "opscheck/core", "opscheck/policy", "opscheck/systems")
NOT_JUDGING = {"probe", "discovery.py", "permissions.py", "programs.py"}
"""What reads, and what proposes: no verdict is decided there."""
TESTS = ("tests/checks", "tests/core", "tests/policy", "tests/systems", "tests/gathering", "tests/reports")
COPIED = (
    "checks",
    "conftest.py",
    "docs",
    "examples",
    "opscheck",
    "policies",
    "pyproject.toml",
    "tests",
    "CHANGELOG.md",
)
TEST_LIMIT = 60
"""How many tests at most a mutant runs: those of its line, or for a line of a module or a class, some of its module."""
SECONDS = 120
"""A mutant whose tests take longer waits without end, and is killed. The same tests take seconds without it."""
WANTED = 0.92


@dataclass(frozen=True)
class Mutant:
    """One mutation of one file, by its path from the root."""

    path: str
    mutation: Mutation

    def __str__(self) -> str:
        """Where, and the line before and after, so that a reader can judge it."""
        source = (ROOT / self.path).read_bytes()
        before = source.splitlines()[self.mutation.line - 1].decode().strip()
        after = self.mutation.apply(source).splitlines()[self.mutation.line - 1].decode().strip()
        return f"{self.path}: {self.mutation.operator}: {before}  =>  {after}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    command(arguments)


@click.command()
@click.option("--seed", default=13, show_default=True, help="Seed of the sample.")
@click.option("--count", default=400, show_default=True, help="Mutants in the sample.")
@click.option("--workers", default=2, show_default=True, help="Mutants tried at the same time.")
@click.argument("paths", nargs=-1)
def command(seed: int, count: int, workers: int, paths: tuple[str, ...]) -> None:
    """Try a sample of mutants of PATHS, by default of all code that decides verdicts, and list those that survive."""
    with tempfile.TemporaryDirectory(prefix="opscheck-mutants-") as folder:
        trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(workers):
            trees.put(tree := copy_tree(Path(folder) / str(number)))
        contexts = recorded_contexts(tree)
        sample = draw(seed, count, paths or JUDGING)

        def tried(mutant: Mutant) -> bool:
            tree = trees.get()
            try:
                return survives(mutant, contexts.tests(mutant), tree)
            finally:
                trees.put(tree)

        with ThreadPoolExecutor(workers) as pool:
            survived = [mutant for mutant, alive in zip(sample, pool.map(tried, sample), strict=True) if alive]
    report(sample, survived)


def judging_files(tops: Sequence[str]) -> list[Path]:
    """The modules whose code decides verdicts."""
    found = sorted(
        path for top in tops for path in ([ROOT / top] if top.endswith(".py") else (ROOT / top).rglob("*.py"))
    )
    return [path for path in found if not NOT_JUDGING & set(path.relative_to(ROOT).parts)]


def draw(seed: int, count: int, tops: Sequence[str]) -> list[Mutant]:
    """A sample of all mutants, the same for the same seed and the same code."""
    everything = [
        Mutant(str(path.relative_to(ROOT)), mutation)
        for path in judging_files(tops)
        for mutation in find_mutations(path.read_bytes())
    ]
    return random.Random(seed).sample(everything, min(count, len(everything)))  # noqa: S311 - a sample, and no secret


def copy_tree(place: Path) -> Path:
    """A copy of what the tests need, in which a file can be mutated."""
    place.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, place / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, place / name)
    return place


@dataclass(frozen=True)
class Contexts:
    """Which tests run which line, from one run of coverage."""

    data: CoverageData
    failed: frozenset[str]
    """Tests that failed without any mutation, such as one that is too slow under coverage. They kill nothing."""

    def tests(self, mutant: Mutant) -> list[str]:
        """The ids of the tests that run a mutant's line; for a line that runs at import, some that use the module."""
        by_line = self.data.contexts_by_lineno(mutant.path)
        own = set(by_line.get(mutant.mutation.line, [])) - {""}
        every = own or {name for names in by_line.values() for name in names} - {""}
        chosen = sorted({id_of_test(name) for name in every} - self.failed)
        if len(chosen) > TEST_LIMIT:
            chosen = random.Random(mutant.path).sample(chosen, TEST_LIMIT)  # noqa: S311 - a sample, and no secret
        return chosen


def recorded_contexts(tree: Path) -> Contexts:
    """Run the unit tests once under coverage. The record is kept, outside the checkout, for the same code."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "opscheck" / "mutants"
    record, failed = cache / f"{tree_id()}.coverage", cache / f"{tree_id()}.failed.json"
    if not failed.exists():
        cache.mkdir(parents=True, exist_ok=True)
        record_contexts(tree)
        shutil.copy(tree / ".coverage", record)
        last_failed = tree / ".pytest_cache" / "v" / "cache" / "lastfailed"
        failed.write_text(last_failed.read_text() if last_failed.exists() else "{}")
    data = CoverageData(str(record))
    data.read()
    return Contexts(data, frozenset(name.partition("[")[0] for name in json.loads(failed.read_text())))


def record_contexts(tree: Path) -> None:
    """Write which test runs which line into `.coverage` of a copy of the tree."""
    settings = tree / ".coveragerc"
    settings.write_text(
        "[run]\nparallel = true\nrelative_files = true\ndynamic_context = test_function\npatch = subprocess\n"
        f"source = {', '.join(JUDGING)}\n"
    )
    coverage = [sys.executable, "-m", "coverage"]
    tests = ["-m", "pytest", "-q", "-n", "2", "-m", "basic", *TESTS]
    if subprocess.run([*coverage, "run", *tests], cwd=tree, env=environment(tree), check=False).returncode > 1:
        raise click.ClickException("the unit tests did not run; see above")
    subprocess.run([*coverage, "combine", "--quiet"], cwd=tree, check=True)


def tree_id() -> str:
    """What names the code that a record is of: the tree of the commit that all files are at."""
    changed = subprocess.run(
        ["git", "status", "--porcelain", "-uno"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    if changed.stdout:
        raise click.ClickException(f"commit first; these files differ from the commit:\n{changed.stdout}")
    found = subprocess.run(["git", "rev-parse", "HEAD^{tree}"], cwd=ROOT, check=True, capture_output=True, text=True)
    return found.stdout.strip()


def id_of_test(context: str) -> str:
    """A context of coverage, such as `tests.core.test_units.test_ratio`, as pytest names the test."""
    parts = context.split(".")
    last = max(end for end in range(1, len(parts)) if (ROOT / Path(*parts[:end])).with_suffix(".py").exists())
    return "::".join([str(Path(*parts[:last]).with_suffix(".py")), *parts[last:]])


def survives(mutant: Mutant, tests: list[str], tree: Path) -> bool:
    """Whether all tests pass on a mutant; one that no test runs survives."""
    if not tests:
        return True
    source = (ROOT / mutant.path).read_bytes()
    place = tree / mutant.path
    place.write_bytes(mutant.mutation.apply(source))
    try:
        code = exit_code(tests, tree)
    finally:
        place.write_bytes(source)
    # A mutant that cannot be imported has no tests either: without it they must be there and pass.
    if code in {pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.NO_TESTS_COLLECTED} and exit_code(tests, tree) != 0:
        raise click.ClickException(f"the tests of a mutant do not run without it: {mutant}")
    return code == 0


def exit_code(tests: list[str], tree: Path) -> int | None:
    """The exit code of pytest on some tests in a copy of the tree; None where they wait without end."""
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "basic"]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=tree, env=environment(tree), capture_output=True, timeout=SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None
    return done.returncode


def environment(tree: Path) -> dict[str, str]:
    """The environment in which Python imports a copy of the tree."""
    # A mutant has its file's size and perhaps its time: a compiled module would hide it.
    return os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}


def report(sample: list[Mutant], survived: list[Mutant]) -> None:
    """Print the numbers and the survivors, and end with 1 where too many survive."""
    judged = {line.rpartition("  #  ")[0] for line in EQUIVALENT.read_text().splitlines()}
    equivalent = [mutant for mutant in survived if str(mutant) in judged]
    open_ones = [mutant for mutant in survived if str(mutant) not in judged]
    tried, alive = Counter(one.mutation.operator for one in sample), Counter(one.mutation.operator for one in survived)
    for operator, number in tried.most_common():
        click.echo(f"{operator:20} {number:4} tried, {alive[operator]:3} survived")
    for mutant in open_ones:
        click.echo(f"survived: {mutant}")
    killed = len(sample) - len(survived)
    share = killed / (len(sample) - len(equivalent))
    click.echo(
        f"{len(sample)} mutants, {killed} killed ({share:.1%}), {len(equivalent)} equivalent, {len(open_ones)} open"
    )
    sys.exit(share < WANTED)


if __name__ == "__main__":
    main()
