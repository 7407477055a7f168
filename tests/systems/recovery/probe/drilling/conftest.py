"""Drills that are done, for real."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from opscheck.core.target import Target
from opscheck.systems.postgres.target import PostgresTarget
from opscheck.systems.recovery.drill_record import Assertion, Drill, PerformDrill
from opscheck.systems.recovery.probe.drill import open_session
from opscheck.systems.recovery.target import DrillLimits, DrillPlace
from opscheck.systems.stores.target import FolderTarget
from tests.servers.drills import (
    ScratchServer,
    Shelf,
    Traces,
    scratch_server,
    server_that_verifies,
    shelf_of_backups,
    traces_of_drills,
)

__all__ = ["scratch_server", "server_that_verifies", "shelf_of_backups", "traces_of_drills"]

ORDERS = Assertion("orders", "SELECT count(*) FROM orders")

Restore = Callable[..., Drill]


def place(store: Target, dsn: str | None = None, **fields: Any) -> DrillPlace:
    """Where a drill is done."""
    scratch = PostgresTarget(kind="postgres", dsn=SecretStr(dsn), scratch=True).named("scratch") if dsn else None
    limits = DrillLimits(**fields.pop("limits", {}))
    return DrillPlace(name="drill://drill", store=store, scratch=scratch, limits=limits, **fields)


def query(key: str, **fields: Any) -> PerformDrill:
    """The drill of one backup."""
    usual = {"drill": "drill", "key": key, "within_s": 60.0, "assertions": (ORDERS,)}
    return PerformDrill("drill://drill", **{**usual, **fields})


@pytest.fixture(name="restore")
def _restore(shelf: Shelf, scratch: ScratchServer, traces: Traces) -> Restore:
    """Restores a backup of the shelf into the scratch server, and sees that nothing of it is left."""

    def restore(
        key: str, *, dsn: str | None = scratch.dsn, limits: dict[str, Any] | None = None, **fields: Any
    ) -> Drill:
        store = FolderTarget(kind="folder", path=str(shelf.folder)).named("shelf")
        of_place = {name: fields.pop(name) for name in ("disk_bytes", "record") if name in fields}
        session = open_session(place(store, dsn, limits=limits or {}, **of_place), 5.0)
        try:
            return session.ask(query(key, **fields), 90.0)
        finally:
            assert traces.none_left()
            assert [] == scratch.databases()

    return restore
