"""Types the commands that a finding of PostgreSQL suggests, as a superuser would."""

import os
import subprocess
from typing import Any

from opscheck import PostgresTarget, Remedy
from opscheck.core.expectation import Expectation
from opscheck.core.record import Finding
from opscheck.core.redaction import Secrets
from opscheck.core.templates import expectation_facts, render
from opscheck.demo.postgres import PostgreSQL, installed_versions
from opscheck.testing import expect


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
    environment = environment | {"PATH": f"{programs}:{os.environ['PATH']}", "PGCONNECT_TIMEOUT": "10"}
    ran = subprocess.run(
        ["sh", "-ec", command], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    if ran.returncode or any(word in ran.stderr for word in ("ERROR", "FATAL")):
        raise AssertionError(f"{command}\n{ran.stdout}\n{ran.stderr}")
    return (ran.stderr + ran.stdout).strip()
