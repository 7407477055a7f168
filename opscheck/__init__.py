"""
opscheck: operational expectations as pytest checks.

These are the names a check's author imports. They are loaded when they are asked for, because pytest imports this
package in every run of an environment that has opscheck installed, also in runs that have nothing to do with it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opscheck.expectations.base import Expectation, Remediation
    from opscheck.judging import Findings, Observe
    from opscheck.queries.base import Query
    from opscheck.targets import (
        FolderTarget,
        HostTarget,
        HttpTarget,
        KubernetesTarget,
        PgbouncerTarget,
        PostgresTarget,
        PrometheusTarget,
        RedisTarget,
        S3Target,
        StoreTarget,
        Target,
    )
    from opscheck.units import ByteSize, Count, Duration, Graded, GradedMinimum, Percentage, Severity

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
    "S3Target",
    "Severity",
    "StoreTarget",
    "Target",
]

_HOMES = {
    "opscheck.expectations.base": ["Expectation", "Remediation"],
    "opscheck.judging": ["Findings", "Observe"],
    "opscheck.queries.base": ["Query"],
    "opscheck.targets": [name for name in __all__ if name.endswith("Target")],
    "opscheck.units": ["ByteSize", "Count", "Duration", "Graded", "GradedMinimum", "Percentage", "Severity"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'opscheck' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)
