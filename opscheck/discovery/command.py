"""The command `opscheck init`; it imports the rest only when it runs."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from opscheck.core.exit_codes import ExitCode

if TYPE_CHECKING:
    from opscheck.discovery.initialising import Mode, Outcome, Waive

_DEFAULT = Path("opscheck.yaml")
_FILE = click.Path(path_type=Path, readable=False)


@click.command()
@click.option("--from-environment", is_flag=True, help="Look at the variables *_URL, *_URI and *_DSN.")
@click.option("--compose", type=_FILE, metavar="FILE", help="Look at the services of a compose file.")
@click.option("--host", is_flag=True, help="Look at the mounts of this machine.")
@click.option("--namespace", metavar="NAME", help="Look at a namespace of a Kubernetes cluster.")
@click.option("--context", metavar="NAME", help="The context of the kubeconfig. Default: its current one.")
@click.option("-o", "--output", metavar="FILE", help="The new policy; - for standard output.  [default: opscheck.yaml]")
@click.option("--add", type=_FILE, metavar="FILE", help="Insert what this policy lacks; the rest of it stays as it is.")
@click.option("--diff", type=_FILE, metavar="FILE", help="Print what this policy lacks; exits 1 where there is any.")
@click.option("--waive-current", metavar="DURATION", help="Write waivers for all current violations, such as for 30d.")
@click.option("--owner", metavar="NAME", help="Who is responsible for these waivers.")
@click.option("--date", "day", metavar="YYYY-MM-DD", help="The date in comments and waivers. Default: today.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
def init(as_json: bool, **options: Any) -> int:
    """
    Write a first policy from what is found: databases, caches, endpoints, clusters.

    Without a source: the environment's variables and this folder's compose file. A variable's name is written, its
    value never. Targets are only read. Each expectation has a comment: what was seen, and why its limit is what it is.
    What is violated now is proposed as it should be, and listed.

    \b
      opscheck init                          write opscheck.yaml
      opscheck init --add opscheck.yaml      insert what it lacks
      opscheck init --diff opscheck.yaml     print what it lacks; nothing is written
    """  # noqa: D301 - \b is click's word for "do not rewrap"
    import os  # noqa: PLC0415 - with the rest

    from opscheck.discovery import reporting  # noqa: PLC0415 - loads pydantic
    from opscheck.discovery.initialising import Mode, initialise  # noqa: PLC0415
    from opscheck.discovery.sources import Sources, chosen  # noqa: PLC0415

    mode, file = _destination(options)
    waive, today = _waive(options, mode), _today(options["day"])
    names = ("from_environment", "compose", "host", "namespace", "context")
    given, problems = chosen(Sources(**{name: options[name] for name in names}), os.environ, today)
    outcome = initialise(given, os.environ, mode=mode, file=file, waive=waive, problems=problems)
    if as_json:
        click.echo(reporting.as_json(outcome))
    elif mode in {Mode.DIFF, Mode.PRINT}:
        click.echo(outcome.diff if mode is Mode.DIFF else outcome.after, nl=False)
    if not as_json and not outcome.found_nothing:
        click.echo(reporting.as_text(outcome), err=mode in {Mode.DIFF, Mode.PRINT})
    if text := reporting.not_seen_text(outcome):
        click.echo(text, err=True)
    return _exit_code(outcome)


def _exit_code(outcome: "Outcome") -> int:
    from opscheck.discovery import reporting  # noqa: PLC0415 - loads pydantic

    if outcome.found_nothing:
        click.echo(reporting.NOTHING_FOUND, err=True)
        return ExitCode.UNTRUSTED
    return ExitCode.CLOSED if outcome.mode == "diff" and outcome.draft.proposals else ExitCode.OPEN


def _destination(options: dict[str, Any]) -> "tuple[Mode, Path]":
    """The mode and its file. Raises click.UsageError."""
    from opscheck.discovery.initialising import Mode  # noqa: PLC0415 - loads pydantic

    given = [name for name in ("output", "add", "diff") if options[name] is not None]
    if len(given) > 1:
        raise click.UsageError(f"--{given[0]} and --{given[1]} exclude each other")
    if options["output"] == "-":
        return Mode.PRINT, Path("-")
    for name, mode in (("add", Mode.ADD), ("diff", Mode.DIFF)):
        if options[name] is not None:
            return mode, options[name]
    file = Path(options["output"] or _DEFAULT)
    for existing in (file, file.with_suffix(".yml")) if file == _DEFAULT else (file,):
        if existing.exists():
            raise click.UsageError(
                f"{existing} exists and is never overwritten: insert what it lacks with --add {existing}, "
                f"see it with --diff {existing}, or write another file with -o FILE"
            )
    return Mode.NEW, file


def _waive(options: dict[str, Any], mode: "Mode") -> "Waive | None":
    from opscheck.core.units import Duration  # noqa: PLC0415 - loads pydantic
    from opscheck.discovery.initialising import Mode, Waive  # noqa: PLC0415

    span, owner = options["waive_current"], options["owner"]
    if span is None:
        if owner is not None:
            raise click.UsageError("--owner is for --waive-current")
        return None
    if mode in {Mode.PRINT, Mode.DIFF}:
        raise click.UsageError("--waive-current runs the policy that was written: use -o FILE or --add FILE")
    if not owner:
        raise click.UsageError("--waive-current needs --owner NAME: who is responsible")
    try:
        duration = Duration.parse(span)
    except ValueError:
        raise click.UsageError(f"--waive-current: expected {Duration.noun}, got {span}") from None
    if not duration:
        raise click.UsageError("--waive-current: expected a duration longer than 0s")
    return Waive(span=duration, owner=owner)


def _today(day: str | None) -> date:
    if day is None:
        return datetime.now(UTC).date()
    try:
        return date.fromisoformat(day)
    except ValueError:
        raise click.UsageError(f"--date: expected YYYY-MM-DD, got {day}") from None
