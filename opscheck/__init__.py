"""
opscheck: operational expectations as pytest checks.

These are the names that authors of checks and of systems import; docs/writing-a-system.md lists them. They are loaded
when they are first used, because pytest imports this package in every run of an environment that has opscheck
installed, also in runs that have nothing to do with it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opscheck.core.expectation import Expectation, Remediation
    from opscheck.core.field_types import BytesLeft, CountLeft, ShareUsed
    from opscheck.core.findings import Findings, Observe
    from opscheck.core.intervals import Interval, OverInterval, interval, sample_aged
    from opscheck.core.observation import CouldNotObserve, Observation, ProbeError, Problem, ProblemKind, Sample
    from opscheck.core.query import Identity, Permission, Query, Timestamp
    from opscheck.core.record import Finding, Measurement
    from opscheck.core.registry import Reader
    from opscheck.core.remedy import Fact, Remedy
    from opscheck.core.system import Client, Kind, Probe, Session, System
    from opscheck.core.target import InlineTarget, Target, TargetOf, without_credentials
    from opscheck.core.units import (
        ByteSize,
        Count,
        Duration,
        Graded,
        GradedMinimum,
        Percentage,
        PositiveCount,
        Severity,
    )
    from opscheck.systems.host.target import HostTarget
    from opscheck.systems.http.target import HttpTarget
    from opscheck.systems.kubernetes.target import KubernetesTarget
    from opscheck.systems.pgbouncer.target import PgbouncerTarget
    from opscheck.systems.postgres.target import PostgresTarget
    from opscheck.systems.prometheus.target import PrometheusTarget
    from opscheck.systems.redis.target import RedisTarget
    from opscheck.systems.stores.target import FolderTarget, S3Target, StoreTarget
    from opscheck.transport.connect import dial, late, seconds_left, unreachable

__version__ = "0.1.0"

__all__ = [
    "ByteSize",
    "BytesLeft",
    "Client",
    "CouldNotObserve",
    "Count",
    "CountLeft",
    "Duration",
    "Expectation",
    "Fact",
    "Finding",
    "Findings",
    "FolderTarget",
    "Graded",
    "GradedMinimum",
    "HostTarget",
    "HttpTarget",
    "Identity",
    "InlineTarget",
    "Interval",
    "Kind",
    "KubernetesTarget",
    "Measurement",
    "Observation",
    "Observe",
    "OverInterval",
    "Percentage",
    "Permission",
    "PgbouncerTarget",
    "PositiveCount",
    "PostgresTarget",
    "Probe",
    "ProbeError",
    "Problem",
    "ProblemKind",
    "PrometheusTarget",
    "Query",
    "Reader",
    "RedisTarget",
    "Remediation",
    "Remedy",
    "S3Target",
    "Sample",
    "Session",
    "Severity",
    "ShareUsed",
    "StoreTarget",
    "System",
    "Target",
    "TargetOf",
    "Timestamp",
    "dial",
    "interval",
    "late",
    "sample_aged",
    "seconds_left",
    "unreachable",
    "without_credentials",
]

_HOMES = {
    "opscheck.core.expectation": ["Expectation", "Remediation"],
    "opscheck.core.findings": ["Findings", "Observe"],
    "opscheck.core.intervals": ["Interval", "OverInterval", "interval", "sample_aged"],
    "opscheck.core.field_types": ["BytesLeft", "CountLeft", "ShareUsed"],
    "opscheck.core.observation": ["CouldNotObserve", "Observation", "ProbeError", "Problem", "ProblemKind", "Sample"],
    "opscheck.core.query": ["Identity", "Permission", "Query", "Timestamp"],
    "opscheck.core.record": ["Finding", "Measurement"],
    "opscheck.core.registry": ["Reader"],
    "opscheck.core.remedy": ["Fact", "Remedy"],
    "opscheck.core.system": ["Client", "Kind", "Probe", "Session", "System"],
    "opscheck.core.target": ["InlineTarget", "Target", "TargetOf", "without_credentials"],
    "opscheck.core.units": [
        "ByteSize",
        "Count",
        "Duration",
        "Graded",
        "GradedMinimum",
        "Percentage",
        "PositiveCount",
        "Severity",
    ],
    "opscheck.systems.host.target": ["HostTarget"],
    "opscheck.systems.http.target": ["HttpTarget"],
    "opscheck.systems.kubernetes.target": ["KubernetesTarget"],
    "opscheck.systems.pgbouncer.target": ["PgbouncerTarget"],
    "opscheck.systems.postgres.target": ["PostgresTarget"],
    "opscheck.systems.prometheus.target": ["PrometheusTarget"],
    "opscheck.systems.redis.target": ["RedisTarget"],
    "opscheck.systems.stores.target": ["FolderTarget", "S3Target", "StoreTarget"],
    "opscheck.transport.connect": ["dial", "late", "seconds_left", "unreachable"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'opscheck' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)
