"""A new folder for each row: the measured process finds no configuration of this project."""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from measure import BenchmarkError, Command, Took, run_well

_HERE = Path(__file__).parent
_RECORD = "run.json"

Entry = Mapping[str, object]


@dataclass(frozen=True)
class Workspace:
    """Writes the files of a measured process, and runs it."""

    folder: Path

    def policy(self, name: str, targets: Mapping[str, Entry], expectations: Sequence[Entry]) -> Path:
        """Write a policy file and return its path."""
        document = {
            "version": 1,
            "environment": "benchmark",
            "targets": dict(targets),
            "expectations": list(expectations),
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False))
        return path

    def borrowed(self, path: str) -> Path:
        """A copy of one of the benchmarks' own files."""
        return Path(shutil.copy(_HERE / path, self.folder))

    def opscheck(
        self,
        policy: Path,
        *checks: Path,
        counts: Mapping[str, int],
        exit_code: int = 0,
        variables: Mapping[str, str] | None = None,
    ) -> Took:
        """
        Run `opscheck run` with a record, and hold the record to `counts`, such as {"passed": 100}.

        Raises BenchmarkError when anything else came out: a run that went wrong is often fast.
        """
        record = self.folder / _RECORD
        record.unlink(missing_ok=True)
        words = ["-m", "opscheck", "run", "-p", str(policy), "--json", str(record), *map(str, checks)]
        took = run_well(self._python(*words, **(variables or {})), exit_code=exit_code)
        found = self.record()["counts"]
        if any(found[verdict] != number for verdict, number in counts.items()):
            raise BenchmarkError(f"{policy.name}: expected {dict(counts)}, the record has {found}:\n{took.output}")
        return took

    def record(self) -> dict[str, Any]:
        """The record of the last run."""
        loaded: dict[str, Any] = json.loads((self.folder / _RECORD).read_bytes())
        return loaded

    def pytest(self, file: str, *plugins: str, says: str, exit_code: int = 0, **variables: object) -> Took:
        """Run pytest on one of the alternatives, with `plugins` alone, so that nothing else costs it time."""
        test = self.borrowed(f"alternatives/{file}")
        chosen = [word for plugin in plugins for word in ("-p", plugin)]
        words = ["-m", "pytest", "-q", "--disable-plugin-autoload", "-p", "no:cacheprovider", *chosen, str(test)]
        return run_well(self._python(*words, **variables), exit_code=exit_code, says=says)

    def script(self, file: str, *arguments: str, says: str = "", **variables: object) -> Took:
        """Run one of the alternatives that are plain programs."""
        return run_well(self._python(str(self.borrowed(f"alternatives/{file}")), *arguments, **variables), says=says)

    def python(self, *words: str) -> Took:
        """Run Python with any words."""
        return run_well(self._python(*words))

    def _python(self, *words: str, **variables: object) -> Command:
        return Command(
            [sys.executable, *words],
            self.folder,
            {f"BENCH_{name.upper()}": str(value) for name, value in variables.items()},
        )


@contextmanager
def workspace() -> Iterator[Workspace]:
    """A new folder, which goes away with the block."""
    with tempfile.TemporaryDirectory(prefix="opscheck-bench-") as folder:
        yield Workspace(Path(folder).resolve())
