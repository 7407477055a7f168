"""Targets with the query API of Prometheus."""

from opscheck.systems.http.target import BaseUrl, HttpTarget


class PrometheusTarget(HttpTarget, kind="prometheus"):
    """
    A Prometheus, or a server with its query API: Thanos, Mimir, VictoriaMetrics.

    It is an HTTP API too, so `http.response` and `http.value` apply to it.
    """

    url_schemes = ()

    base_url: BaseUrl
    """The URL before /api/v1/query, including a path prefix: https://prometheus.example.com."""
