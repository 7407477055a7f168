"""What opscheck says of its own access to a real PostgreSQL server, in every output."""

from textwrap import dedent

import pytest

POLICY = dedent("""
    version: 1
    environment: test
    targets: {database: {kind: postgres, dsn: "${DATABASE_URL}"}}
    expectations:
      - {id: access, check: postgres.access, target: database}
      - {id: durable, check: postgres.settings, target: database, severity: P1, settings: {full_page_writes: on}}
      - {id: jobs, check: postgres.query, target: database, sql: SELECT count(*) FROM pg_class, at_least: {P2: 1}}
    """)


@pytest.fixture(name="policy")
def _policy(tmp_path):
    (tmp_path / "policy.yaml").write_text(POLICY)
    return tmp_path / "policy.yaml"


def test_read_only_role_passes(system, policy):
    outcome = system.judge(policy=policy)

    assert {"access": "passed", "durable": "passed", "jobs": "passed"} == outcome.verdicts
    assert [] == outcome.run["notices"]


def test_superuser_is_one_low_finding_and_a_notice(system, policy):
    outcome = system.judge(policy=policy, DATABASE_URL=system.environment.postgres.dsn("postgres"))
    (result,) = [result for result in outcome.run["results"] if result["verdict"] == "violated"]
    notice = "opscheck logs in as the superuser postgres"

    assert ("access", "P3") == (result["id"], result["severity"])
    assert "role postgres: superuser, expected a read-only role" == result["summary"]
    assert notice in " ".join(outcome.run["notices"])
    assert notice in outcome.out
