"""How reality is read: one module per system, each the only importer of that system's client library."""

from importlib import import_module
from typing import cast

from opscheck.probes.base import Probe

# Imported when a target of that kind is asked: a client library can cost half a second.
MODULES = {
    "drill": "opscheck.probes.drill",
    "drills": "opscheck.probes.drill_records",
    "folder": "opscheck.probes.folder",
    "http": "opscheck.probes.http",
    "kubernetes": "opscheck.probes.kubernetes",
    "pgbouncer": "opscheck.probes.pgbouncer",
    "postgres": "opscheck.probes.postgres",
    "prometheus": "opscheck.probes.prometheus",
    "redis": "opscheck.probes.redis",
    "host": "opscheck.probes.host",
    "s3": "opscheck.probes.s3",
    "tls": "opscheck.probes.tls",
}


def probe_for(kind: str) -> Probe:
    """The probe for a kind of target. Raises LookupError when there is none."""
    if kind not in MODULES:
        raise LookupError(f"no probe reads targets of kind {kind}")
    return cast("Probe", import_module(MODULES[kind]))
