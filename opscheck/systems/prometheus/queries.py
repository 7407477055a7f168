"""What can be asked of a Prometheus: one expression, evaluated now."""

from dataclasses import dataclass

import msgspec

from opscheck.core.query import Query


class PrometheusSample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One series of the answer."""

    labels: dict[str, str] = {}
    value: float | None = None
    """None where it is no finite number, such as NaN of a division by nothing."""


class PrometheusVector(msgspec.Struct, frozen=True, kw_only=True):
    """The series that the expression came to; none at all where nothing matches it."""

    samples: tuple[PrometheusSample, ...] = ()


@dataclass(frozen=True)
class PrometheusQuery(Query[PrometheusVector], name="prometheus.query"):
    """
    An expression that is evaluated at the moment it is asked.

    The samples that Prometheus gives back bear the time of evaluation and not of the scrape, and a selector finds what
    was scraped up to five minutes ago, or longer where it is set so. `fresh` asks for what was scraped lately.
    """

    expression: str

    def text(self) -> str:
        """For people."""
        return f"evaluate {self.expression}"


def selector(metric: str, **labels: str | tuple[str, ...]) -> str:
    """The series of a metric with these labels; several values of a label are alternatives."""
    matchers = [f"{name}{_matcher(values)}" for name, values in sorted(labels.items())]
    return f"{metric}{{{','.join(matchers)}}}" if matchers else metric


def fresh(series: str, seconds: int) -> str:
    """An expression for those of the selected series that were scraped in the last `seconds`, by its server's clock."""
    return f"{series} and (time() - timestamp({series}) <= {seconds})"


def _matcher(values: str | tuple[str, ...]) -> str:
    if isinstance(values, str):
        return f"={_quoted(values)}"
    return f"=~{_quoted('|'.join(values))}"


def _quoted(value: str) -> str:
    # As Go quotes: a line break would end the literal.
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
