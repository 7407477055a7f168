"""policies/databases.yaml on real servers: a primary with standby, archive and pooler, and a cache with a replica."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from opscheck.bundle import bundled
from tests.servers.interpreters import ForkServer, Interpreter
from tests.servers.pgbouncer import PgBouncer
from tests.servers.redis_topologies import Replicated, replicated
from tests.servers.replication import Replication, replication

# What a test cannot wait a week for.
SHORT: dict[str, dict[str, object]] = {
    "statements": {"interval": "1s", "min_calls": 1},
    "statement-history": {"interval": "1s", "share": {"P3": "99%"}},
    "size-and-growth": {"over": "10s"},  # a sample from 5 to 20 seconds old will do
    "unused-indexes": {"unused_for": "1s"},
    "slots": {"slot_safe": None},
    "cache-evictions": {"interval": "1s"},
    "cache-rejections": {"interval": "1s"},
    "cache-hits": {"interval": "1s", "lookups": 1},
}
# Which a server of a version is right to be told of: its end, no checksums before 18, no count of evictions before 14.
OLD_AGE = {"upkeep", "damaged-pages", "statement-history"}
OVER_INTERVALS = {
    "statement-history",
    "statements",
    "size-and-growth",
    "cache-evictions",
    "cache-rejections",
    "cache-hits",
}


@dataclass(frozen=True)
class World:
    """The servers that the policy names, and opscheck against them in a process of its own."""

    postgres: Replication
    pooler: PgBouncer
    cache: Replicated
    folder: Path
    run: Interpreter

    def judge(self, *options: str) -> dict[str, Any]:
        """The results of `opscheck run` by id."""
        policy = self.folder / "databases.yaml"
        expectations = [{"id": name, **fields} for name, fields in SHORT.items()]
        extended = {"version": 1, "extends": str(bundled("policies") / "databases.yaml"), "expectations": expectations}
        policy.write_text(yaml.safe_dump(extended))
        record, state = self.folder / "run.json", self.folder / "state.db"
        words = ["run", "-p", str(policy), "--json", str(record), "--state", str(state), *options]
        self.run("opscheck", *words, cwd=self.folder, env=os.environ | self.variables, timeout=120)
        return {result["id"]: result for result in json.loads(record.read_text())["results"]}

    @property
    def variables(self) -> dict[str, str]:
        """Where everything is."""
        return {
            "DATABASE_URL": self.postgres.primary.dsn(),
            "STANDBY_URL": self.postgres.standby.server.dsn(),
            "PGBOUNCER_URL": self.pooler.dsn(),
            "REDIS_URL": self.cache.primary.url,
        }


@pytest.fixture(name="world", scope="module")
def _world(
    contrib_installation: Path,
    pgbouncer_program: Path,
    tmp_path_factory: pytest.TempPathFactory,
    fork_server: ForkServer,
) -> Iterator[World]:
    with _servers(contrib_installation, pgbouncer_program, tmp_path_factory.mktemp("policy"), fork_server) as world:
        yield world


@contextmanager
def _servers(installation: Path, pgbouncer_program: Path, folder: Path, run: Interpreter) -> Iterator[World]:
    settings = {"shared_preload_libraries": "pg_stat_statements", "max_slot_wal_keep_size": "1GB", "fsync": "on"}
    archive = {"archive_mode": "on", "archive_command": f"cp %p {folder}/%f"}
    folder.chmod(0o777)  # as root the server runs as somebody else
    with (
        replication(installation, slots=True, **settings, **archive) as pair,
        PgBouncer(pair.primary, pgbouncer_program) as pooler,
        replicated(save="3600 1", appendonly="yes") as cache,
    ):
        with psycopg.connect(pair.primary.dsn("postgres"), autocommit=True) as admin:
            admin.execute("CREATE EXTENSION pg_stat_statements")
            admin.execute("CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY)")
            admin.execute("GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO opscheck")
            admin.execute("VACUUM (ANALYZE)")
        yield World(pair, pooler, cache, folder, run)


def test_interval_is_unknown_in_the_first_run_and_passes_in_later_ones(world):
    first = world.judge()
    time.sleep(6)  # so that the first samples are as old as SHORT wants them
    second = world.judge()

    # Before PostgreSQL 15 a database counts from the first connection to it, which may be the one of this run.
    young = {"unused-indexes"} if world.postgres.primary.major < 15 else set()
    unknown = {name for name, result in first.items() if result["verdict"] == "unknown"}
    assert OVER_INTERVALS == unknown - OLD_AGE - young | {"statement-history"}
    assert [] == [
        result["summary"] for name, result in second.items() if result["verdict"] != "passed" and name not in OLD_AGE
    ]
    assert world.postgres.primary.major < 18 or {"passed"} == {result["verdict"] for result in second.values()}
