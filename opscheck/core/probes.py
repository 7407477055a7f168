"""How reality is read: one module per system, each the only importer of that system's client library."""

from importlib import import_module
from typing import cast

from opscheck.core.probe import Probe

# Imported when a target of that kind is asked: a client library can cost half a second.
MODULES = {
    "drill": "opscheck.systems.recovery.probe.drill",
    "drills": "opscheck.systems.recovery.probe.records",
    "folder": "opscheck.systems.stores.probe.folder",
    "http": "opscheck.systems.http.probe",
    "kubernetes": "opscheck.systems.kubernetes.probe",
    "pgbouncer": "opscheck.systems.pgbouncer.probe",
    "postgres": "opscheck.systems.postgres.probe",
    "prometheus": "opscheck.systems.prometheus.probe",
    "redis": "opscheck.systems.redis.probe",
    "host": "opscheck.systems.host.probe",
    "s3": "opscheck.systems.stores.probe.s3",
    "tls": "opscheck.systems.tls.probe",
}


def probe_for(kind: str) -> Probe:
    """The probe for a kind of target. Raises LookupError when there is none."""
    if kind not in MODULES:
        raise LookupError(f"no probe reads targets of kind {kind}")
    return cast("Probe", import_module(MODULES[kind]))
