"""The question which server answers, and who opscheck is to it."""

from dataclasses import dataclass

import msgspec

from opscheck.queries.base import Identity
from opscheck.queries.postgres.base import PostgresQuery


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
    may: tuple[str, ...] = ()
    """What it may do beside reading, in PostgreSQL's words: CREATEROLE, pg_write_all_data."""


@dataclass(frozen=True)
class AskOwnRole(PostgresQuery[OwnRole], name="postgres.own-role"):
    """What opscheck's own role may do that reading does not need."""

    def text(self) -> str:
        """For people."""
        return "what the role of the dsn may do"
