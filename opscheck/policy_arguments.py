"""Policy files on the command line: `-p FILE`, an argument, or a default name; and `-` for the standard streams."""

import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import click

STANDARD_INPUT = Path("-")
STANDARD = "-"
"""Standard input or output, where a file may be named."""
DEFAULTS = ("opscheck.yaml", "opscheck.yml")
"""The policy files that are used where the command names none; the first that exists."""


def divided(arguments: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Arguments that are policy files (`*.yaml`, `*.yml` or `-`), and the others."""
    policies = [one for one in arguments if str(one) == STANDARD or one.suffix in {".yaml", ".yml"}]
    return policies, [one for one in arguments if one not in policies]


def policy_layers(named: Sequence[Path], arguments: Sequence[Path]) -> tuple[Path, ...]:
    """
    The policy's files: several of `-p`, of which each extends those before it, or one argument, or the default.

    Raises click.UsageError.
    """
    if named and arguments:
        raise click.UsageError(f"two policies: -p {named[0]} and {arguments[0]}; name several layers with -p each")
    if len(arguments) > 1:
        raise click.UsageError(f"two policies: {arguments[0]} and {arguments[1]}; name several layers with -p each")
    chosen = (*named, *arguments)
    if sum(str(one) == STANDARD for one in chosen) > 1:
        raise click.UsageError("standard input can be read once: name one layer only with -p -")
    return chosen or (_default(),)


def _default() -> Path:
    there = next((Path(name) for name in DEFAULTS if Path(name).exists()), None)
    if there is None:
        raise click.UsageError(f"no policy: name one with -p FILE, or write {DEFAULTS[0]}")
    click.echo(f"opscheck: policy {there}", err=True)
    return there


@contextmanager
def standard_streams(
    options: dict[str, str | None], inputs: Sequence[str], *, taken: bool
) -> Generator[dict[str, str | None]]:
    """
    The `options` with a temporary file in place of each `-`: one of `inputs` reads standard input.

    Another writes to standard output at the end. All that is printed meanwhile goes to standard error. `taken` says
    that standard input is the policy. Raises click.UsageError.
    """
    standard = [name for name, value in options.items() if value == STANDARD]
    outputs = [name for name in standard if name not in inputs]
    if len(outputs) > 1:
        both = " and ".join(f"--{name}" for name in outputs)
        raise click.UsageError(f"{both}: standard output can be one file only; name another file")
    if taken and len(standard) > len(outputs):
        raise click.UsageError("standard input is the policy; name a file for the snapshot")
    if not standard:
        yield options
        return
    with tempfile.TemporaryDirectory(prefix="opscheck-") as folder:
        files = {name: Path(folder, f"standard-{'output' if name in outputs else 'input'}") for name in standard}
        for name in set(standard) - set(outputs):
            files[name].write_bytes(sys.stdin.buffer.read())
        with _printing_to_stderr() if outputs else nullcontext():
            yield options | {name: str(file) for name, file in files.items()}
        for name in outputs:
            if files[name].exists():
                with files[name].open("rb") as file:
                    shutil.copyfileobj(file, sys.stdout.buffer)
                sys.stdout.buffer.flush()


@contextmanager
def _printing_to_stderr() -> Generator[None]:
    # By descriptor: pytest and its plugins write to more than sys.stdout.
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
