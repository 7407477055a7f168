"""The faults that the demo can cause."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from opscheck.demo import backup_jobs, cluster
from opscheck.demo.kubernetes import World
from opscheck.transport.processes import ServerFailed, accepts, wait_until

if TYPE_CHECKING:
    from opscheck.demo.environment import Environment

_ENOUGH_CONNECTIONS = 0.9
_TAKES_AT_MOST = 10.0
_UNTIL_TOMORROW = timedelta(days=1)

FAULTS: Mapping[str, str] = {
    "api": "the API answers its health check with 503 and the status `degraded`",
    "workflows": "5000 workflows run at once",
    "pods": "one pod is in CrashLoopBackOff, another cannot pull its image",
    "usage": "a node uses 97 % of its CPU",
    "errors": "the application logged hundreds of errors, some with a token in them",
    "connections": "a leaking client holds every connection that ordinary roles can use",
    "cache": "redis-server is stopped",
    "certificate": "the API serves a certificate that expires tomorrow",
    "backups": "no dump for 5 hours, the last one is truncated, and the configuration's is an empty gzip",
}


@dataclass(frozen=True)
class Fault:
    """The functions that cause a fault and repair it."""

    break_: Callable[["Environment"], None]
    repair: Callable[["Environment"], None]


def fault(name: str) -> Fault:
    """The fault of that name. Raises ValueError with the known names."""
    try:
        return _HOW[name]
    except KeyError:
        raise ValueError(f"unknown fault {name!r}; known faults: {', '.join(FAULTS)}") from None


def _degrade_api(environment: "Environment") -> None:
    environment.api.say(503, "degraded")


def _heal_api(environment: "Environment") -> None:
    environment.api.say(200, "ok")


def _pile_up_workflows(environment: "Environment") -> None:
    environment.api.measure(active_workflows=5000, queue_depth=1240)


def _drain_workflows(environment: "Environment") -> None:
    environment.api.measure(active_workflows=42, queue_depth=7)


def _fill_connections(environment: "Environment") -> None:
    held, usable = environment.postgres.fill_connections(), environment.postgres.usable_connections
    if held < usable * _ENOUGH_CONNECTIONS:
        raise ServerFailed(f"only {held} of {usable} connections could be opened")


def _stop_cache(environment: "Environment") -> None:
    environment.redis.stop()
    wait_until(lambda: not accepts(environment.redis.port), _TAKES_AT_MOST, "redis-server still answers")


def _let_certificate_age(environment: "Environment") -> None:
    environment.authority.renew(environment.api_tls, left=_UNTIL_TOMORROW)


def _lose_backups(environment: "Environment") -> None:
    environment.backups.fail()
    backup_jobs.be_careless(environment.world, cluster.NAMESPACE)


def _find_backups(environment: "Environment") -> None:
    environment.backups.recover()
    backup_jobs.be_careful(environment.world, cluster.NAMESPACE)


def _in_cluster(change: Callable[[World], None]) -> Callable[["Environment"], None]:
    return lambda environment: change(environment.world)


_HOW: Mapping[str, Fault] = {
    "api": Fault(_degrade_api, _heal_api),
    "workflows": Fault(_pile_up_workflows, _drain_workflows),
    "pods": Fault(_in_cluster(cluster.break_pods), _in_cluster(cluster.repair_pods)),
    "usage": Fault(_in_cluster(cluster.overload_node), _in_cluster(cluster.relieve_node)),
    "errors": Fault(_in_cluster(cluster.write_errors), _in_cluster(cluster.erase_errors)),
    "connections": Fault(_fill_connections, lambda environment: environment.postgres.release_connections()),
    "cache": Fault(_stop_cache, lambda environment: environment.redis.start()),
    "certificate": Fault(_let_certificate_age, lambda environment: environment.authority.renew(environment.api_tls)),
    "backups": Fault(_lose_backups, _find_backups),
}
