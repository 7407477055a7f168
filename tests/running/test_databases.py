"""An expectation of several databases, in a run: what its pattern means is found out first, and then asked."""

from collections.abc import Iterator

import psycopg
import pytest

import checks.postgres.test_size
from opscheck.demo.postgres import PostgreSQL

POLICY = """
    targets: {{database: {{kind: postgres, dsn: "{dsn}"}}}}
    expectations:
      - {{id: shops, check: postgres.size, target: database, databases: ["shop_*"], size: {{P2: 1TB}},
         sequences: {{P2: 75%}}}}
      - {{id: vault, check: postgres.size, target: database, databases: [vault], sequences: {{P2: 75%}}}}
      - {{id: nowhere, check: postgres.size, target: database, databases: ["nowhere*"], sequences: {{P2: 75%}}}}
      - {{id: home, check: postgres.size, target: database, size: {{P2: 1TB}}}}
"""


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[PostgreSQL]:
    with PostgreSQL(log_connections="on") as server:
        with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
            for name in ("shop_one", "shop_two", "vault"):
                admin.execute(f"CREATE DATABASE {name} OWNER app")
            admin.execute("REVOKE CONNECT ON DATABASE vault FROM PUBLIC")
        with psycopg.connect(server.dsn("app", "shop_two"), autocommit=True) as owner:
            owner.execute("CREATE SEQUENCE numbers MAXVALUE 100")
            owner.execute("SELECT setval('numbers', 90)")
            owner.execute("GRANT SELECT ON numbers TO opscheck")
        yield server


def test_a_pattern_is_judged_in_each_database_that_matches(project, server):
    project.policy(POLICY.format(dsn=server.dsn()))
    log = server.data.parent / "log"
    before = connections(log)
    outcome = project.judge(checks.postgres.test_size.__file__)

    assert {"shops": "violated", "vault": "unknown", "nowhere": "unknown", "home": "passed"} == outcome.verdicts
    shops = outcome.result("shops")
    assert ["public.numbers in database shop_two"] == [one["subject"] for one in shops["findings"]]
    assert {"database shop_one", "database shop_two"} <= {one["subject"] for one in shops["measurements"]}
    assert outcome.result("vault")["blocked_by"] is None
    # One to the database of the dsn, and one to each other; vault knows the role, and then does not let it in.
    assert {"integration_db": 1, "shop_one": 1, "shop_two": 1, "vault": 1} == {
        name: count - before.get(name, 0) for name, count in connections(log).items() if count > before.get(name, 0)
    }


def connections(log) -> dict[str, int]:
    """How often opscheck came to each database."""
    lines = [line for line in log.read_text().splitlines() if "authorized: user=opscheck" in line]
    names = [line.partition("database=")[2].split()[0] for line in lines]
    return {name: names.count(name) for name in names}
