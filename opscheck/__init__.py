"""
opscheck: operational expectations as pytest checks.

These are the names a check's author imports. They are loaded when they are asked for, because pytest imports this
package in every run of an environment that has opscheck installed, also in runs that have nothing to do with it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opscheck.core.expectation import Expectation, Remediation
    from opscheck.core.findings import Findings, Observe
    from opscheck.core.query import Query
    from opscheck.core.remedy import Remedy
    from opscheck.core.target import Target
    from opscheck.core.units import ByteSize, Count, Duration, Graded, GradedMinimum, Percentage, Severity
    from opscheck.systems.host.target import HostTarget
    from opscheck.systems.http.target import HttpTarget
    from opscheck.systems.kubernetes.target import KubernetesTarget
    from opscheck.systems.pgbouncer.target import PgbouncerTarget
    from opscheck.systems.postgres.target import PostgresTarget
    from opscheck.systems.prometheus.target import PrometheusTarget
    from opscheck.systems.redis.target import RedisTarget
    from opscheck.systems.stores.target import FolderTarget, S3Target, StoreTarget

__version__ = "0.1.0"

__all__ = [
    "ByteSize",
    "Count",
    "Duration",
    "Expectation",
    "Findings",
    "FolderTarget",
    "Graded",
    "GradedMinimum",
    "HostTarget",
    "HttpTarget",
    "KubernetesTarget",
    "Observe",
    "Percentage",
    "PgbouncerTarget",
    "PostgresTarget",
    "PrometheusTarget",
    "Query",
    "RedisTarget",
    "Remediation",
    "Remedy",
    "S3Target",
    "Severity",
    "StoreTarget",
    "Target",
]

_HOMES = {
    "opscheck.core.expectation": ["Expectation", "Remediation"],
    "opscheck.core.findings": ["Findings", "Observe"],
    "opscheck.core.query": ["Query"],
    "opscheck.core.remedy": ["Remedy"],
    "opscheck.core.target": ["Target"],
    "opscheck.systems.host.target": ["HostTarget"],
    "opscheck.systems.http.target": ["HttpTarget"],
    "opscheck.systems.kubernetes.target": ["KubernetesTarget"],
    "opscheck.systems.pgbouncer.target": ["PgbouncerTarget"],
    "opscheck.systems.postgres.target": ["PostgresTarget"],
    "opscheck.systems.prometheus.target": ["PrometheusTarget"],
    "opscheck.systems.redis.target": ["RedisTarget"],
    "opscheck.systems.stores.target": ["FolderTarget", "S3Target", "StoreTarget"],
    "opscheck.core.units": ["ByteSize", "Count", "Duration", "Graded", "GradedMinimum", "Percentage", "Severity"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'opscheck' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)
