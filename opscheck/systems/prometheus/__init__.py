"""Prometheus, and what answers the same query API."""
