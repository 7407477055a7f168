"""The question which server answers, and who opscheck is to it."""

from dataclasses import dataclass

import msgspec

from opscheck.core.query import Identity
from opscheck.systems.postgres.queries.base import PostgresQuery


@dataclass(frozen=True)
class AskIdentity(PostgresQuery[Identity], name="postgres.identity"):
    """Which server answers, in which version and role, and as whom it is asked."""

    def text(self) -> str:
        """For people."""
        return "ask which server this is, and who this client is to it"


class OwnRole(msgspec.Struct, frozen=True, kw_only=True):
    """What the role that opscheck logs in with may do."""

    name: str
    superuser: bool
    bootstrap: bool = False
    """It is the superuser that initdb made, which can be nothing else."""
    attributes: tuple[str, ...] = ()
    """What its own attributes allow beside reading: CREATEROLE. Empty for a superuser, who may do everything."""
    roles: tuple[str, ...] = ()
    """Roles it is a member of that allow more than reading: pg_write_all_data, and every superuser."""
    owned: tuple[str, ...] = ()
    """The databases that it, or a role it is a member of, owns."""
    writable: tuple[str, ...] = ()
    """Some of the tables of the dsn's database whose rows it may change, with their schemas."""
    writable_count: int = 0
    """How many there are."""


@dataclass(frozen=True)
class AskOwnRole(PostgresQuery[OwnRole], name="postgres.own-role"):
    """What opscheck's own role may do that reading does not need."""

    def text(self) -> str:
        """For people."""
        return "what the role of the dsn may do beside reading"
