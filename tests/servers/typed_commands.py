"""Commands of remedies, typed into a shell as a person would copy them from a report."""

import os
import pkgutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from opscheck import PostgresTarget, Remedy
from opscheck.core.expectation import Expectation
from opscheck.core.record import Finding
from opscheck.core.redaction import Secrets
from opscheck.core.remedy import fact_text
from opscheck.core.system import System
from opscheck.core.templates import expectation_facts, render
from opscheck.demo.postgres import PostgreSQL, installed_versions
from opscheck.testing import expect

_TIMED_OUT = 124  # of `timeout`


def expectations_of(system: System) -> list[type[Expectation]]:
    """The expectations of a system, one per check."""
    return [pkgutil.resolve_name(path) for path in system.expectations.values()]


def declared_commands(kinds: Iterable[type[Expectation]]) -> list[str]:
    """Every command that their remedies may print, each once."""
    remedies: Iterable[Remedy] = (remedy for kind in kinds for remedy in kind.remedies)
    return list(dict.fromkeys(command for remedy in remedies for command in remedy.commands))


def typed(  # noqa: PLR0913 - the shell it is typed into, by name
    command: str,
    facts: Mapping[str, object],
    variables: Mapping[str, str],
    *,
    path: str = "",
    typed_in: str = "",
    seconds_at_a_terminal: float = 0,
    interpreter: str = "sh",
    folder: Path | None = None,
) -> str:
    """
    The output of a rendered command. Values of `variables` are secrets, printed as `${NAME}`.

    An endless one is ended after some seconds at a terminal. Raises AssertionError when it fails, or prints a secret.
    """
    secrets = Secrets()
    for name, value in variables.items():
        secrets.add(value, f"${{{name}}}")
    printed = render(command, {name: fact_text(value) for name, value in facts.items()}, secrets)
    assert printed is not None, command
    assert not [name for name, value in variables.items() if value in printed]
    arguments = [interpreter, "-c", printed]
    if seconds_at_a_terminal:
        arguments = ["timeout", f"{seconds_at_a_terminal}", "script", "-qfec", printed, "/dev/null"]
    ran = run_as_typed(arguments, variables, path=path, typed_in=typed_in, folder=folder)
    expected = _TIMED_OUT if seconds_at_a_terminal else 0
    assert ran.returncode == expected, f"{printed}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


def run_as_typed(
    arguments: Sequence[str],
    variables: Mapping[str, str],
    *,
    path: str = "",
    typed_in: str = "",
    folder: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program with these variables only, and with `path` before the machine's PATH."""
    return subprocess.run(
        arguments,
        env={**variables, "PATH": f"{path}:{os.environ['PATH']}", "HOME": os.environ.get("HOME", "/")},
        cwd=folder,
        input=typed_in,
        start_new_session=True,  # without a terminal, so that a prompt reads `typed_in`
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def suggested(kind: type[Expectation], finding: Finding, server: PostgreSQL, **fields: Any) -> list[str]:
    """The commands of the finding's remedies, with `${DATABASE_URL}` in them."""
    dsn = server.dsn("postgres")
    facts = expectation_facts(expect(kind, PostgresTarget(kind="postgres", dsn=dsn), **fields))
    secrets = Secrets()
    secrets.add(dsn, "${DATABASE_URL}")  # as the policy reader does with a variable's value
    commands = [render(one, facts | finding.facts, secrets) for one in finding.remediation.commands]
    return [one for one in commands if one is not None]


def commands_of(*remedies: Remedy) -> tuple[str, ...]:
    """The commands of these remedies, as a finding that brings them has them."""
    return tuple(command for remedy in remedies for command in remedy.commands)


def type_in(kind: type[Expectation], finding: Finding, server: PostgreSQL, **fields: Any) -> list[str]:
    """Run them as `postgres`, and return the output of each. Raises AssertionError when one fails."""
    environment = {"DATABASE_URL": server.dsn("postgres")}
    commands = suggested(kind, finding, server, **fields)
    assert all('psql "${DATABASE_URL}"' in one for one in commands)
    return [type_command(one, environment) for one in commands]


def type_command(command: str, environment: dict[str, str]) -> str:
    """Run a command with the psql of the wheel, and return its output. Raises AssertionError when it fails."""
    programs = next(iter(installed_versions().values())) / "bin"
    ran = run_as_typed(["sh", "-ec", command], environment | {"PGCONNECT_TIMEOUT": "10"}, path=str(programs))
    if ran.returncode or any(word in ran.stderr for word in ("ERROR", "FATAL")):
        raise AssertionError(f"{command}\n{ran.stdout}\n{ran.stderr}")
    return (ran.stderr + ran.stdout).strip()
