"""
check_pgactivity and check_postgres of Debian, one process per query, as a monitoring system runs them.

They run the queries of the policy that they support: Debian's check_postgres fails on sequences.
A query of one database is sent to each database by name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cluster import Missing
from databases import DATABASES
from measure import BenchmarkError, Command, Took, run

from opscheck.demo.postgres import PostgreSQL, installed_versions
from tests.servers.cache import NotThere
from tests.servers.debian import PLUGINS, find_debian

_EVERY_DATABASE = ",".join(f"shop_{number:03}" for number in range(DATABASES))

# The arguments of each plugin for one query.
PGACTIVITY = (
    "backends -w 75% -c 90%",
    "longest_query -w 300s -c 1800s",
    "oldest_idlexact -w 300s -c 900s",
    "locks -w 60% -c 80%",
    "oldest_2pc -w 5m -c 1h",
    "max_freeze_age -w 120% -c 150%",
    "oldest_xmin -w 50000000 -c 200000000",
    "last_vacuum -w 7d -c 14d",
    "last_analyze -w 7d -c 14d",
    "invalid_indexes",
    "database_size -w 20% -c 50%",
    "sequences_exhausted -w 75% -c 90%",
    "extensions_versions",
    "settings",
)
CHECK_POSTGRES = (
    "backends --warning=75% --critical=90%",
    "query_time --warning=300s --critical=1800s",
    "txn_time --warning=300s --critical=1800s",
    "txn_idle --warning=300s --critical=900s",
    "locks --warning=10000 --critical=20000",
    "prepared_txns --warning=300s --critical=3600s",
    "txn_wraparound",
    f"last_vacuum --warning=7d --critical=14d --dbname={_EVERY_DATABASE}",
    f"last_analyze --warning=7d --critical=14d --dbname={_EVERY_DATABASE}",
    "archive_ready --warning=20 --critical=100",
    "replication_slots --warning=5GB --critical=20GB",
    "database_size --warning=100GB --critical=250GB",
    "settings_checksum --critical=0",
)


@dataclass(frozen=True)
class Plugins:
    """One of the two: its program, its arguments for the server, and its queries."""

    name: str
    program: Path
    says: str
    queries: Sequence[str]
    where: Sequence[str]
    ask: str

    def run(self, server: PostgreSQL, folder: Path) -> Took:
        """Each query in turn. The time of the last process is ignored. Raises BenchmarkError."""
        parts = urlsplit(server.dsn("opscheck", "postgres"))
        programs = next(iter(installed_versions().values())) / "bin"
        variables = {"PGPASSWORD": unquote(parts.password or ""), "PATH": f"{programs}:/usr/bin:/bin"}
        for query in self.queries:
            action, *words = query.split()
            where = [word.format(port=parts.port, folder=folder) for word in self.where]
            command = Command([str(self.program), *where, self.ask.format(action), *words], folder, variables)
            took = run(command)
            if self.says not in took.output or "failed" in took.output:
                raise BenchmarkError(f"{self.name} {action} ended with {took.exit_code}:\n{took.output[:400]}")
        return took


def pgactivity() -> Plugins:
    """check_pgactivity. Raises Missing."""
    where = ("-h", "127.0.0.1", "-p", "{port}", "-U", "opscheck", "-d", "postgres", "--status-file", "{folder}/state")
    return Plugins("check_pgactivity", _program("check_pgactivity"), "POSTGRES_", PGACTIVITY, where, "--service={}")


def check_postgres() -> Plugins:
    """check_postgres. Raises Missing."""
    where = ("--host=127.0.0.1", "--port={port}", "--dbuser=opscheck", "--dbname=postgres")
    return Plugins("check_postgres", _program("check_postgres"), "POSTGRES_", CHECK_POSTGRES, where, "--action={}")


def _program(name: str) -> Path:
    try:
        return find_debian(*PLUGINS) / "bin" / name
    except NotThere as why:
        raise Missing(str(why)) from why
