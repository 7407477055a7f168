"""The measurements: one module per row of the table of aims."""

from collections.abc import Callable, Iterable

from table import Line

from rows import (
    buckets,
    commands,
    databases,
    dead_target,
    dumps,
    engine,
    namespace,
    one,
    pods,
    real_pods,
    slow_http,
    stranger,
    tls,
    whole_policy,
)

Row = Callable[[int], Iterable[Line]]
"""A measurement. The argument is the number of runs of a short process."""

ROWS: dict[str, Row] = {
    "http-100": slow_http.hundred,
    "http-1000": slow_http.thousand,
    "namespace": namespace.requests,
    "pods": pods.five_thousand,
    "whole-policy": whole_policy.requests,
    "real-pods": real_pods.five_thousand,
    "real-20000": real_pods.twenty_thousand,
    "engine": engine.per_expectation,
    "one": one.whole_process,
    "commands": commands.describing,
    "databases": databases.many_tables,
    "bucket-100000": buckets.freshness,
    "dump-2gb": dumps.two_gigabytes,
    "dead-target": dead_target.one_timeout,
    "tls-200": tls.endpoints,
    "stranger": stranger.untouched,
}
