"""Prometheus and servers with the same query API."""

from opscheck.core.system import Kind, System

SYSTEM = System(
    name="prometheus",
    kinds={
        "prometheus": Kind(
            target="opscheck.systems.prometheus.target:PrometheusTarget",
            probe="opscheck.systems.prometheus.probe",
        ),
    },
)
