"""How large databases and their relations are, and how much of their sequences is used."""

from dataclasses import dataclass

import msgspec

from opscheck.core.query import Permission
from opscheck.systems.postgres.queries.base import DatabaseQuery, PostgresQuery, RoleGrant, SequenceGrant

READ_SIZES = RoleGrant("pg_read_all_stats", "the size of a database that it may not connect to is hidden without it")


class DatabaseSize(msgspec.Struct, frozen=True, kw_only=True):
    """One database."""

    name: str
    oid: int
    """Its number; a database that was dropped and made again has another one."""
    bytes: int | None
    """None where the role that asks may not know."""
    is_template: bool = False


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """The databases of a server on disk: tables, indexes and what else is in their folders; no WAL."""

    role: str
    """The role that asked."""
    current: str
    """The database of the dsn."""
    system: str
    """The server's system identifier, which its standbys share."""
    databases: tuple[DatabaseSize, ...]

    @property
    def epoch(self) -> str:
        """Sizes compare with those of the same system, also after a failover."""
        return self.system


@dataclass(frozen=True)
class AskSizes(PostgresQuery[Sizes], name="postgres.sizes", remembered=True):
    """How large databases are. The server looks at each of their files."""

    databases: tuple[str, ...] | None = ()
    """Their names; none is the one of the dsn, and None is every one."""

    def permissions(self) -> tuple[Permission, ...]:
        """Whoever may connect to a database may know its size; to know them all, more is needed."""
        return (READ_SIZES,) if self.databases is None else ()

    def text(self) -> str:
        """For people."""
        if self.databases is None:
            return "the size of every database"
        return f"the size of database {' and '.join(self.databases)}" if self.databases else "the size of the database"


class RelationSize(msgspec.Struct, frozen=True, kw_only=True):
    """A table or materialised view with its indexes and its TOAST."""

    name: str
    """With its schema, quoted where SQL wants it."""
    bytes: int
    table_bytes: int
    """Without its indexes."""


class Relations(msgspec.Struct, frozen=True, kw_only=True):
    """The largest relations of a database."""

    place: str
    """The system identifier and the database's number."""
    largest: tuple[RelationSize, ...]

    @property
    def epoch(self) -> str:
        """Sizes compare with those of the same database."""
        return self.place


@dataclass(frozen=True)
class LargestRelations(DatabaseQuery[Relations], name="postgres.largest-relations", remembered=True):
    """What a database is large by. Which relations are measured is chosen by their last VACUUM or ANALYZE."""

    def asked_for(self) -> str:
        """For people."""
        return "the largest relations"


class Sequence(msgspec.Struct, frozen=True, kw_only=True):
    """A sequence that was used, and what it feeds."""

    schema: str
    name: str
    type: str
    """Its own type: integer."""
    table_schema: str | None = None
    table: str | None = None
    """The table with the narrowest column that it feeds; None where it feeds none."""
    column: str | None = None
    column_type: str | None = None
    last_value: int
    limit: int
    """The last value that it can give and that its column can hold."""
    limited_by: str
    """What that limit comes from: `column`, `type` or `maxvalue` (`minvalue` of one that counts down)."""
    used: float
    """How much of its values is used, in percent."""
    left: int
    """How many values it still gives."""


class SequencesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The sequences of a database that end one day: those that CYCLE are left out."""

    database: str
    role: str
    """The role that asked."""
    seen: int
    """How many could be read."""
    most_used: tuple[Sequence, ...]
    hidden: int = 0
    """How many could not be read."""
    hidden_names: tuple[str, ...] = ()
    """The first of those, with their schemas, quoted as SQL wants it."""
    hidden_schemas: tuple[str, ...] = ()
    """The schemas of all of those, quoted."""


@dataclass(frozen=True)
class Sequences(DatabaseQuery[SequencesAnswer], name="postgres.sequences"):
    """How much of each sequence is used."""

    def permissions(self) -> tuple[Permission, ...]:
        """To read the sequences of others takes a grant on each; pg_monitor is not enough."""
        return (*super().permissions(), SequenceGrant(self.database))

    def asked_for(self) -> str:
        """For people."""
        return "how much of each sequence is used"
