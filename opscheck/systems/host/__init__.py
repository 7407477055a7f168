"""Hosts: machines, containers and pods that run commands."""

from opscheck.bundle import bundled
from opscheck.core.system import Kind, System

SYSTEM = System(
    name="host",
    kinds={
        "host": Kind(
            target="opscheck.systems.host.target:HostTarget",
            probe="opscheck.systems.host.probe",
        ),
    },
    expectations={
        "host.disk": "opscheck.systems.host.disk:HostDisk",
    },
    checks=bundled("checks") / "host",
    discover="opscheck.systems.host.discovery:discover",
)
