"""All PostgreSQL checks on one server with 20,000 tables, compared with the plugins of monitoring systems."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nagios
from cluster import Missing
from databases import CLIENTS, DATABASES, TABLES, Cost, Databases, many_databases
from table import Line, not_measured, ratio
from workspace import Workspace, workspace

_WHAT = (
    f"the same queries, every PostgreSQL check: {DATABASES * TABLES:,} tables in {DATABASES} databases, "
    f"{CLIENTS} sessions"
)
_AIM = 0.2
_EVERYWHERE = {"databases": ["shop_*"]}
_TABLES = {"counted_for": "0s", **_EVERYWHERE}
_IDLE = {"idle_in_transaction": {"P2": "15m"}}


def many_tables(runs: int) -> Iterable[Line]:
    """Wall time, connections, statements and the server's processor time."""
    try:
        with workspace() as place, many_databases() as databases:
            ours = _opscheck(place, databases, runs)
            theirs = [_plugins(one, databases, place.folder) for one in (nagios.pgactivity(), nagios.check_postgres())]
    except Missing as why:
        yield not_measured(_WHAT, why)
        return
    yield Line(
        what=_WHAT,
        opscheck=ours.text(),
        others=tuple(text for text, _ in theirs),
        ratios=tuple(ratio(ours.wall_s, cost.wall_s) for _, cost in theirs),
        aim=f"≤ {_AIM} x their time; one connection per database and one more",
        met=all(ours.wall_s <= _AIM * cost.wall_s for _, cost in theirs) and ours.connections <= DATABASES + 1,
    )


def _opscheck(place: Workspace, databases: Databases, runs: int) -> Cost:
    target = {"kind": "postgres", "dsn": databases.server.dsn("opscheck", "postgres")}
    policy = place.policy("databases", {"database": target}, _expectations())
    counts = {"declared": len(_expectations()), "unknown": 0, "violated": 0}
    costs = [databases.cost_of(lambda: place.opscheck(policy, counts=counts)) for _ in range(max(runs, 2))]
    return sorted(costs[1:], key=lambda cost: cost.wall_s)[len(costs[1:]) // 2]


def _plugins(plugins: nagios.Plugins, databases: Databases, folder: Path) -> tuple[str, Cost]:
    cost = databases.cost_of(lambda: plugins.run(databases.server, folder))
    return f"{plugins.name}, {len(plugins.queries)} queries one by one: {cost.text()}", cost


def _expectations() -> list[dict[str, Any]]:
    """The queries of the plugins, and more."""
    each: list[dict[str, Any]] = [
        {"check": "postgres.access"},
        {"check": "postgres.connections", "used": {"P2": "95%"}},
        {"check": "postgres.activity", "query": {"P2": "5m"}, "transaction": {"P2": "30m"}} | _IDLE,
        {"check": "postgres.locks", "waiting": {"P2": "30s"}, "lock_table": {"P2": "60%"}, "prepared": {"P2": "5m"}},
        {"check": "postgres.replication", "slot_retained": {"P2": "5GB"}, "slot_unlimited": "P2"},
        {"check": "postgres.archiver", "backlog": {"P2": 20}},
        {"check": "postgres.vacuum", "xid_age": {"P2": "40%"}, "oldest_xmin": {"P2": 50_000_000}},
        {"check": "postgres.vacuum", "dead_rows": {"P3": "200%"}, "stale_statistics": {"P3": "200%"}} | _TABLES,
        {"check": "postgres.indexes", "invalid": {"P2": 0}} | _EVERYWHERE,
        {"check": "postgres.size", "size": {"P3": "100GB"}, "sequences": {"P2": "75%"}} | _EVERYWHERE,
        {"check": "postgres.queries", "mean": {"P3": "1h"}, "first_sample": "lifetime"},
        {"check": "postgres.settings", "pending_restart": "P3", "invalid_databases": "P2", "severity": "P2"},
        {"check": "postgres.settings", "outdated_extensions": "P3", "severity": "P3"} | _EVERYWHERE,
        {"check": "postgres.query", "sql": "SELECT count(*) FROM pg_class", "at_most": {"P3": 1_000_000}},
    ]
    return [{"id": f"{number}-{one['check']}", "target": "database"} | one for number, one in enumerate(each)]
