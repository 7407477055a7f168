"""Prometheus queries: one expression, evaluated now."""

import json
from dataclasses import dataclass

import msgspec

from opscheck.core.query import Query


class PrometheusSample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One series of the result."""

    labels: dict[str, str] = {}
    value: float | None = None
    """None where it is not finite, such as NaN of a division by zero."""


class PrometheusVector(msgspec.Struct, frozen=True, kw_only=True):
    """The series of the result; empty where nothing matches the expression."""

    samples: tuple[PrometheusSample, ...] = ()


@dataclass(frozen=True)
class PrometheusQuery(Query[PrometheusVector], name="prometheus.query"):
    """
    An expression that is evaluated at the time of the query.

    Prometheus returns samples with the time of evaluation, not of the scrape, and a selector finds samples that were
    scraped up to five minutes ago (`query.lookback-delta`). `fresh` limits that to recent scrapes.
    """

    expression: str

    def text(self) -> str:
        """The query, for people."""
        return f"evaluate {self.expression}"


def selector(metric: str, **labels: str | tuple[str, ...]) -> str:
    """A selector for a metric with these labels; several values of a label are alternatives."""
    matchers = [f"{name}{_matcher(values)}" for name, values in sorted(labels.items())]
    return f"{metric}{{{','.join(matchers)}}}" if matchers else metric


def fresh(series: str, seconds: int) -> str:
    """An expression for the selected series that were scraped in the last `seconds`, by the server's clock."""
    return f"{series} and (time() - timestamp({series}) <= {seconds})"


def _matcher(values: str | tuple[str, ...]) -> str:
    operator, value = ("=", values) if isinstance(values, str) else ("=~", "|".join(values))
    # JSON quotes as Go does: a line break would end the literal.
    return operator + json.dumps(value, ensure_ascii=False)
