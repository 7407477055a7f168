"""Runs the commands that findings suggest, as a person would paste them."""

import os
import subprocess

from opscheck import PostgresTarget
from opscheck.core.expectation import Expectation
from opscheck.core.record import Finding
from opscheck.core.redaction import Secrets
from opscheck.core.templates import expectation_facts, render
from opscheck.demo.postgres import PostgreSQL, installed_versions
from opscheck.testing import expect


def run_commands(server: PostgreSQL, kind: type[Expectation], finding: Finding, **fields: object) -> list[str]:
    """What each command prints that the finding leads to; every one must succeed, without an error."""
    dsn = server.dsn("postgres")
    facts = expectation_facts(expect(kind, PostgresTarget(kind="postgres", dsn=dsn), **fields)) | finding.facts
    secrets = Secrets()
    secrets.add(dsn, "${DATABASE_URL}")  # as the policy reader does with a variable's value
    commands = [render(one, facts, secrets) for one in kind.default_remediation.commands]
    return [_run(one, dsn) for one in commands if one is not None]


def _run(command: str, dsn: str) -> str:
    assert 'psql "${DATABASE_URL}"' in command
    programs = next(iter(installed_versions().values())) / "bin"
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "DATABASE_URL": dsn}
    done = subprocess.run(
        ["sh", "-ec", command], env=environment, check=False, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr.lower()
    return done.stdout + done.stderr
