"""PgBouncer."""

from opscheck.bundle import bundled
from opscheck.core.system import Client, Kind, System

SYSTEM = System(
    name="pgbouncer",
    kinds={
        "pgbouncer": Kind(
            target="opscheck.systems.pgbouncer.target:PgbouncerTarget",
            probe="opscheck.systems.pgbouncer.probe",
            permissions="opscheck.systems.pgbouncer.permissions",
            client=Client("opscheck[pgbouncer]", "psycopg"),
        ),
    },
    expectations={
        "pgbouncer.pools": "opscheck.systems.pgbouncer.pools:PgbouncerPools",
    },
    checks=bundled("checks") / "pgbouncer",
    discover="opscheck.systems.pgbouncer.discovery:discover",
)
