"""The command line: a thin face over the rest, and the one place that turns exceptions into exit codes."""

import errno
import os
import shutil
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import click

from opscheck import __version__
from opscheck.core.exit_codes import ExitCode, UserError
from opscheck.discovery.command import init
from opscheck.policy_arguments import STANDARD_INPUT, divided, policy_layers, standard_streams

_PYTEST_NAMES = {"json": "run-json", "junit": "junit-xml"}

EXIT_CODES = """\b
Exit codes:
   0  passed: nothing at or above --fail-on is violated or unknown
   1  failed: a violation at or above --fail-on
   2  interrupted
   3  internal error
   4  bad policy or wrong usage; no target was touched
  20  unknown: nothing at the gate is violated, but something there could not be evaluated
  21  the run cannot be trusted: nothing was checked, or a verdict is missing
"""

# Whether a file can be read is told by its reader, in the words of every other error.
FILE_TO_READ = click.Path(path_type=Path, readable=False)

CHECKS = click.argument("checks", nargs=-1, type=click.Path(exists=True, path_type=Path))
CHECKS_OPTION = click.option(
    "--checks",
    "checks",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="A folder with your own checks, in addition to the bundled ones.",
)
USES_OPTION = click.option(
    "--uses",
    multiple=True,
    metavar="DIST",
    help="An installed distribution whose systems are part of it too, as in a policy's `uses`; repeatable.",
)
POLICY_OPTION = click.option(
    "-p",
    "--policy",
    "named",
    type=FILE_TO_READ,
    multiple=True,
    help="The policy file, - for standard input; repeatable for layers. Default: opscheck.yaml or .yml in this folder.",
)
POLICY_ARGUMENT = click.argument("arguments", nargs=-1, type=FILE_TO_READ, metavar="[POLICY]")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}, epilog=EXIT_CODES)
@click.version_option(__version__, prog_name="opscheck")
def cli() -> None:
    """
    Check running systems against a policy file.

    A policy states what should be true of each target, and the severity of a violation. opscheck queries the targets
    and prints for each violation the response deadline, the escalation and the commands that fix it.

    \b
    Start here:
      opscheck demo                          check real servers, healthy and then broken
      opscheck init                          write a first policy from what is found here
      opscheck checks                        list what can be checked
      opscheck validate production.yaml      print every error in a policy; contacts no target
      opscheck run -p production.yaml        check the targets
    """  # noqa: D301 - \b is click's word for "do not rewrap"


@cli.command(epilog=EXIT_CODES)
@POLICY_OPTION
@click.option("--tag", multiple=True, metavar="TAG", help="Only expectations with this tag; repeatable.")
@click.option("--only", multiple=True, metavar="GLOB", help="Only expectations whose id matches; repeatable.")
@click.option(
    "-k", "keywords", metavar="EXPRESSION", help="Only expectations that match this expression, as in pytest."
)
@click.option(
    "--fail-on",
    default="P3",
    show_default=True,
    metavar="P0|P1|P2|P3|never",
    help="The severity from which a violation fails the run.",
)
@click.option("--json", metavar="FILE", help="Write the run record (opscheck.run/v1); - for standard output.")
@click.option("--junit", metavar="FILE", help="Write JUnit XML, for Jenkins, GitLab and the like; - as above.")
@click.option("--save", metavar="FILE", help="Write every observation to a snapshot file; - as above.")
@click.option("--from", metavar="FILE", help="Judge a snapshot file, - for standard input; contacts no target.")
@click.option(
    "--state",
    metavar="FILE",
    help="State file: remembers counters so that rates and growth can be computed between runs.",
)
@click.option("--drill", is_flag=True, help="Run the restore drills of the policy; they are skipped otherwise.")
@click.option(
    "--timeout",
    "run_timeout",
    help="Time limit for gathering.  [default: 2m, plus the time for drills and whole backups]",
)
@click.option(
    "--concurrency",
    "run_concurrency",
    default=64,
    show_default=True,
    help="Maximum number of concurrent queries.",
)
@click.option(
    "-v", "--verbose", "run_verbose", is_flag=True, help="Show passed expectations, every finding and all evidence."
)
@click.option("-q", "--quiet", "run_quiet", is_flag=True, help="Print the summary and the result only.")
@click.argument("arguments", nargs=-1, type=FILE_TO_READ, metavar="[POLICY] [CHECKS]...")
def run(named: Sequence[Path], arguments: Sequence[Path], keywords: str | None, **options: Any) -> int:
    """
    Check the targets of a policy. The exit code is the result.

    POLICY is a file that ends in .yaml or .yml, as with -p. CHECKS are files or folders with your own checks, in
    addition to the bundled ones. With - for standard output, everything else is printed to standard error.

    The same with plain pytest and all of its options:

    \b
      pytest --policy=production.yaml --fail-on=P1 --run-json=run.json --junit-xml=junit.xml -k postgres
    """  # noqa: D301 - \b is click's word for "do not rewrap"
    from opscheck.running.launch import launch  # noqa: PLC0415 - pytest is not needed for --help

    policies, checks = divided(arguments)
    if gone := next((path for path in checks if not path.exists()), None):
        raise click.UsageError(f"no such file or folder: {gone}")
    layers = policy_layers(named, policies)
    files = {name: options.pop(name) for name in ("json", "junit", "save", "from")}
    with standard_streams(files, inputs=["from"], taken=STANDARD_INPUT in layers) as written:
        words = [f"-k{keywords}"] if keywords is not None else []
        return launch(layers, checks, [*words, *_words(written | options)])


def _words(options: Mapping[str, Any]) -> Iterator[str]:
    """Options of the command as those of pytest."""
    for name, value in options.items():
        option = f"--{_PYTEST_NAMES.get(name, name).replace('_', '-')}"
        if isinstance(value, bool):
            yield from [option] if value else []
        elif value is not None:
            yield from (f"{option}={one}" for one in (value if isinstance(value, tuple) else (value,)))


@cli.command()
@POLICY_OPTION
@click.argument("arguments", nargs=-1, type=FILE_TO_READ, metavar="[POLICY]...")
@click.option("--allow-unset", is_flag=True, help="Accept variables that are not set, as in an editor or pre-commit.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of text.")
@CHECKS_OPTION
def validate(
    named: Sequence[Path], arguments: Sequence[Path], allow_unset: bool, as_json: bool, checks: Sequence[Path]
) -> int:
    """
    Print every error in policy files; contacts no target. Each POLICY is one policy; several of -p are its layers.

    Environment variables without a default must be set, unless --allow-unset is given. A file with neither
    `environment` nor `expectations` is a layer for other policies. An expired waiver is an error here; in a run it is a
    notice, and has no effect.
    """
    from opscheck import inspection  # noqa: PLC0415 - loads pydantic

    today = datetime.now(UTC).date()
    policies = [policy_layers((), [one]) for one in arguments] if not named else [policy_layers(named, arguments)]
    found = [
        inspection.validated(policy, checks, today, below=below, allow_unset=allow_unset)
        for *below, policy in policies or [policy_layers((), ())]
    ]
    if as_json:
        click.echo(inspection.validated_json(found))
    else:
        for one in found:
            click.echo(one.text(), err=bool(one.errors))
    return ExitCode.USAGE if any(one.errors for one in found) else ExitCode.OPEN


@cli.command("list")
@POLICY_OPTION
@POLICY_ARGUMENT
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
@CHECKS_OPTION
def list_(named: Sequence[Path], arguments: Sequence[Path], as_json: bool, checks: Sequence[Path]) -> int:
    """List the expectations of a policy: id, severities, check, target, title."""
    from opscheck import inspection  # noqa: PLC0415 - loads pydantic

    *below, policy = policy_layers(named, arguments)
    described = inspection.read(policy, checks, below)
    click.echo(inspection.listed_json(described) if as_json else inspection.listed(described, _width()))
    return ExitCode.OPEN


@cli.command()
@POLICY_OPTION
@click.argument("arguments", nargs=-1, required=True, type=FILE_TO_READ, metavar="[POLICY] ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of text.")
@CHECKS_OPTION
def explain(named: Sequence[Path], arguments: Sequence[Path], as_json: bool, checks: Sequence[Path]) -> int:
    """
    Describe one expectation of a policy: claim, limits, queries, permissions, remediation, and its line in the policy.

    ID is an expectation's id. POLICY is a file that ends in .yaml or .yml, as with -p. `opscheck checks NAME` describes
    a check without a policy.
    """
    from opscheck import explanation, inspection  # noqa: PLC0415 - loads pydantic

    policies, ids = divided(arguments)
    if len(ids) != 1:
        raise click.UsageError(f"expected one expectation id, got {len(ids)}; `opscheck list` shows the ids")
    *below, policy = policy_layers(named, policies)
    page = explanation.explanation(inspection.read(policy, checks, below), str(ids[0]))
    click.echo(page.json() if as_json else page.text())
    return ExitCode.OPEN


@cli.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of text.")
@USES_OPTION
@CHECKS_OPTION
def checks(name: str | None, as_json: bool, uses: Sequence[str], checks: Sequence[Path]) -> int:
    """
    List the checks, or describe one: claim, fields, queries, permissions, remedies, an example.

    \b
      opscheck checks
      opscheck checks postgres.connections
    """  # noqa: D301 - \b is click's word for "do not rewrap"
    from opscheck import check_reference, inspection  # noqa: PLC0415 - loads pydantic

    registry, own = inspection.known_checks(checks, uses)
    if name is None:
        show = check_reference.checks_json if as_json else check_reference.checks_text
        click.echo(show(registry, own))
    else:
        page = check_reference.check_page(name, registry, own)
        click.echo(check_reference.page_json(page) if as_json else check_reference.page_text(page))
    return ExitCode.OPEN


@cli.command()
@click.option("--run", "of_run", is_flag=True, help="The schema of run records instead.")
@USES_OPTION
@CHECKS
def schema(of_run: bool, uses: Sequence[str], checks: Sequence[Path]) -> int:
    """
    Print the JSON Schema of policy files, with the fields of every check.

    CHECKS are folders with your own checks, whose fields are included. Editors use it for completion:

    \b
      opscheck schema > opscheck.schema.json
      # yaml-language-server: $schema=opscheck.schema.json
    """  # noqa: D301 - \b is click's word for "do not rewrap"
    from opscheck import inspection  # noqa: PLC0415 - loads pydantic
    from opscheck.core.record import encode  # noqa: PLC0415 - loads msgspec, which is faster than json

    if of_run:
        from opscheck.reports.schema import run_schema  # noqa: PLC0415 - only this needs it

        printed = run_schema()
    else:
        printed = inspection.policy_schema(checks, uses)
    click.echo(encode(printed), nl=False)
    return ExitCode.OPEN


@cli.command()
@POLICY_OPTION
@POLICY_ARGUMENT
@click.option("--target", metavar="NAME", help="Only the section of this target, for kubectl, psql or redis-cli.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of text.")
@CHECKS_OPTION
def permissions(
    named: Sequence[Path], arguments: Sequence[Path], target: str | None, as_json: bool, checks: Sequence[Path]
) -> int:
    """
    Print the least privileges that a policy needs, ready to apply.

    RBAC for Kubernetes, a role and grants for PostgreSQL, an ACL user for Redis.

    \b
      opscheck permissions production.yaml --target cluster | kubectl apply -f -
    """  # noqa: D301 - \b is click's word for "do not rewrap"
    from opscheck import inspection  # noqa: PLC0415 - loads pydantic

    *below, policy = policy_layers(named, arguments)
    described = inspection.read(policy, checks, below)
    show = inspection.permissions_json if as_json else inspection.permissions
    click.echo(show(described, target))
    return ExitCode.OPEN


@cli.command()
@click.argument("runs", nargs=-1, required=True, type=FILE_TO_READ, metavar="RUN.json...")
@click.option("--junit", required=True, metavar="FILE", help="The JUnit XML file to write; - for standard output.")
def report(runs: Sequence[Path], junit: str) -> int:
    """
    Write one JUnit file from one or several run records.

    Each environment becomes one test suite; records of the same environment are shards of one run.
    """
    from opscheck.reports.junit import document  # noqa: PLC0415 - loads junit-xml
    from opscheck.reports.read import read_run  # noqa: PLC0415
    from opscheck.transport.files import write_whole  # noqa: PLC0415

    written = document([read_run(path) for path in runs])
    if junit == "-":
        click.echo(written, nl=False)
    else:
        try:
            write_whole(Path(junit), written.encode())
        except OSError as error:
            raise click.UsageError(f"--junit: {junit} cannot be written: {error.strerror}") from None
    return ExitCode.OPEN


@cli.command()
@click.option(
    "--break", "faults", multiple=True, metavar="FAULT", help="A fault to cause; repeatable. Default: all of them."
)
@click.option("--faults", "list_faults", is_flag=True, help="List the faults, and exit.")
@click.option("--hold", is_flag=True, help="Keep the servers running until Ctrl-C.")
@click.option(
    "--output",
    default="opscheck-demo",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Results folder.",
)
def demo(faults: Sequence[str], list_faults: bool, hold: bool, output: Path) -> int:
    """
    Start real servers, restore their newest backup, and check them, healthy and then broken.

    PostgreSQL, Redis, an S3 store, an HTTPS API and a Kubernetes API start on free loopback ports from pip packages
    alone (opscheck[demo]), and are removed when it ends.
    """
    from opscheck.demo.show import faults_text, show  # noqa: PLC0415 - starts importing servers

    if list_faults:
        click.echo(faults_text())
        return ExitCode.OPEN
    return show(faults=faults, hold=hold, output=output, write=click.echo)


cli.add_command(init)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and end the process with its exit code."""
    sys.exit(exit_code(arguments))


def exit_code(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; every exception that a command raises ends here."""
    try:
        return int(cli.main(args=None if arguments is None else list(arguments), standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.message)
        return ExitCode.OPEN
    except click.ClickException as error:
        click.echo(f"opscheck: {error.format_message()} (try --help)", err=True)
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("opscheck: interrupted", err=True)
        return ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the one place where whatever went wrong becomes an exit code
        return _explain_failure(error)


def _explain_failure(error: Exception) -> int:
    if isinstance(error, UserError):
        click.echo(str(error), err=True)
        return ExitCode.USAGE
    if isinstance(error, OSError) and error.filename is None and error.errno == errno.ENOSPC:
        click.echo("opscheck: standard output cannot be written: no space left on device", err=True)
        return ExitCode.INTERNAL_ERROR
    if os.environ.get("OPSCHECK_DEBUG"):
        traceback.print_exception(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(frame.filename).name}:{frame.lineno}"
    click.echo(f"opscheck: internal error: {type(error).__name__} at {place}: {error}", err=True)
    click.echo("Set OPSCHECK_DEBUG=1 to see the traceback; it may contain secrets.", err=True)
    return ExitCode.INTERNAL_ERROR


def _width() -> int | None:
    """The width of the terminal; None where standard output is a file or a pipe."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
