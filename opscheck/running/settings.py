"""The options of one run."""

import os
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from opscheck.core.expectation import Expectation
from opscheck.core.units import Duration
from opscheck.core.verdicts import Gate

RUN_CONFIG = Path(__file__).with_name("run.ini")
"""pytest's configuration under `opscheck run`."""


@dataclass(frozen=True)
class Settings:
    """The options of one run, read and checked once."""

    policy: Path
    gate: Gate
    tags: tuple[str, ...]
    only: tuple[str, ...]
    record: Path | None
    save: Path | None
    snapshot: Path | None
    state: Path | None
    timeout: Duration | None
    """Time limit of gathering; None for the default, longer when queries have longer limits of their own."""
    concurrency: int
    drill: bool
    """True when queries may be sent that write somewhere."""

    def selects(self, expectation: Expectation) -> bool:
        """True when `--tag` and `--only` select this expectation."""
        tagged = not self.tags or any(tag in expectation.tags for tag in self.tags)
        return tagged and self.names(expectation.id)

    def names(self, name: str) -> bool:
        """True when `--only` selects this id."""
        return not self.only or any(fnmatchcase(name, glob) for glob in self.only)

    def allowed(self, expectation: Expectation) -> Expectation:
        """The expectation, skipped when it needs `--drill` and that is not given."""
        if not expectation.changes_its_target or self.drill or expectation.skip is not None:
            return expectation
        return expectation.model_copy(update={"skip": "it writes to a scratch system; it runs only with --drill"})

    def idle_selectors(self, expectations: tuple[Expectation, ...]) -> list[str]:
        """Errors for selectors that match nothing: a typing error, or a removed expectation."""
        tags = {tag for expectation in expectations for tag in expectation.tags}
        idle = [
            f"--tag {tag}: no expectation has this tag; known: {_listed(tags)}" for tag in self.tags if tag not in tags
        ]
        ids = [expectation.id for expectation in expectations]
        return idle + [
            f"--only {glob}: no expectation has this id; known: {_listed(ids)}"
            for glob in self.only
            if not any(fnmatchcase(name, glob) for name in ids)
        ]


def read_settings(config: pytest.Config, policy: Path) -> Settings:
    """Read the options. Raises pytest.UsageError, one line for each invalid option."""
    return Settings(
        policy=policy,
        gate=_gate(config.getoption("opscheck_fail_on")),
        tags=tuple(config.getoption("opscheck_tag")),
        only=tuple(config.getoption("opscheck_only")),
        record=_file(_typed(config, "run-json"), config.getoption("opscheck_json")),
        save=_file("--save", config.getoption("opscheck_save")),
        snapshot=_path(config.getoption("opscheck_from")),
        state=_file("--state", config.getoption("opscheck_state")),
        timeout=_duration(_typed(config, "run-timeout"), config.getoption("opscheck_timeout")),
        concurrency=_at_least_one(_typed(config, "run-concurrency"), config.getoption("opscheck_concurrency")),
        drill=bool(config.getoption("opscheck_drill")),
    )


def _typed(config: pytest.Config, name: str) -> str:
    """An option as the person typed it: `--timeout` of `opscheck run` is `--run-timeout` of pytest."""
    return f"--{name.removeprefix('run-') if config.inipath == RUN_CONFIG else name}"


def _gate(text: str) -> Gate:
    try:
        return Gate.parse(text)
    except ValueError:
        raise pytest.UsageError(f"--fail-on: expected P0, P1, P2, P3 or never, got {text}") from None


def _duration(option: str, text: str | None) -> Duration | None:
    if text is None:
        return None
    try:
        return Duration.parse(text)
    except ValueError:
        raise pytest.UsageError(f"{option}: expected {Duration.noun}, got {text}") from None


def _at_least_one(option: str, number: int) -> int:
    if number < 1:
        raise pytest.UsageError(f"{option}: expected 1 or more, got {number}")
    return number


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _file(option: str, text: str | None) -> Path | None:
    """A file to write; an error is reported before any query is sent."""
    path = _path(text)
    if path is None:
        return None
    if text == "-":
        why = "it is read and written" if option == "--state" else "only `opscheck run` writes to standard output"
        raise pytest.UsageError(f"{option}: expected a file, got -; {why}")
    if path.is_dir():
        raise pytest.UsageError(f"{option}: expected a file to write, {path} is a directory")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise pytest.UsageError(f"{option}: no permission to write {path}")
    return path


def _listed(words: set[str] | list[str]) -> str:
    return ", ".join(sorted(words)) or "none"
