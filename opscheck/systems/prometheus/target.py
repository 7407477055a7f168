"""Prometheus targets, and what answers the same query API."""

from opscheck.systems.http.target import BaseUrl, HttpTarget


class PrometheusTarget(HttpTarget, kind="prometheus"):
    """
    A Prometheus, or what answers its query API: Thanos, Mimir, VictoriaMetrics.

    It is an HTTP API too, so that what is expected of one can be expected of it: `/-/healthy`, a latency.
    """

    url_schemes = ()

    base_url: BaseUrl
    """Where /api/v1/query is below, such as https://prometheus.example.com; with its path prefix, where it has one."""
