"""PostgreSQL servers."""

from opscheck.bundle import bundled
from opscheck.core.system import Client, Kind, System

SYSTEM = System(
    name="postgres",
    kinds={
        "postgres": Kind(
            target="opscheck.systems.postgres.target:PostgresTarget",
            probe="opscheck.systems.postgres.probe",
            permissions="opscheck.systems.postgres.permissions",
            client=Client("opscheck[postgres]", "psycopg"),
        ),
    },
    expectations={
        "postgres.access": "opscheck.systems.postgres.access:PostgresAccess",
        "postgres.activity": "opscheck.systems.postgres.activity:PostgresActivity",
        "postgres.archiver": "opscheck.systems.postgres.archiver:PostgresArchiver",
        "postgres.connections": "opscheck.systems.postgres.connections:PostgresConnections",
        "postgres.indexes": "opscheck.systems.postgres.indexes:PostgresIndexes",
        "postgres.locks": "opscheck.systems.postgres.locks:PostgresLocks",
        "postgres.queries": "opscheck.systems.postgres.queries:PostgresQueries",
        "postgres.query": "opscheck.systems.postgres.query:PostgresQuery",
        "postgres.replication": "opscheck.systems.postgres.replication:PostgresReplication",
        "postgres.settings": "opscheck.systems.postgres.settings:PostgresSettings",
        "postgres.size": "opscheck.systems.postgres.size:PostgresSize",
        "postgres.vacuum": "opscheck.systems.postgres.vacuum:PostgresVacuum",
    },
    checks=bundled("checks") / "postgres",
    discover="opscheck.systems.postgres.discovery:discover",
)
