"""Recovery objectives: restore drills and the record of the last one."""

from opscheck.bundle import bundled
from opscheck.core.system import Client, Kind, System
from opscheck.systems.backup import UNPACKERS

SYSTEM = System(
    name="recovery",
    kinds={
        "drill": Kind(
            target="opscheck.systems.recovery.target:DrillPlace",
            probe="opscheck.systems.recovery.probe.drill",
            inline=True,
            after_answers="opscheck.systems.recovery.probe.records:write_records",
        ),
        "drills": Kind(
            target="opscheck.systems.recovery.target:DrillRecords",
            probe="opscheck.systems.recovery.probe.records",
            inline=True,
        ),
    },
    expectations={
        "recovery.drill": "opscheck.systems.recovery.drill:RestoreDrill",
        "recovery.drilled": "opscheck.systems.recovery.drilled:Drilled",
    },
    clients={"recovery.drill": Client("opscheck[recovery]", "psycopg", *UNPACKERS)},
    checks=bundled("checks") / "recovery",
)
