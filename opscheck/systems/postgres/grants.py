"""What a role must be granted for queries to be answered."""

from dataclasses import dataclass

from opscheck.core.query import Permission


@dataclass(frozen=True)
class RoleGrant(Permission):
    """Membership in one of PostgreSQL's predefined roles."""

    role: str
    """The predefined role, such as pg_monitor."""
    reason: str
    """Why it is needed."""

    def text(self) -> str:
        """The grant and its reason."""
        return f"GRANT {self.role}: {self.reason}"


@dataclass(frozen=True)
class ConnectGrant(Permission):
    """The right to connect to a database, which PUBLIC has unless it was revoked."""

    database: str
    """Its name; with `*` and `?`, of all those that match."""

    def text(self) -> str:
        """The grant."""
        return f"GRANT CONNECT ON DATABASE {self.database}: questions about it are asked in it"


@dataclass(frozen=True)
class SequenceGrant(Permission):
    """The right to read every sequence of a database."""

    database: str | None
    """Its name, with `*` and `?` where it may be several; None is the one that the dsn names."""

    def text(self) -> str:
        """The grant and its reason."""
        where = f"database {self.database}" if self.database else "the database of the dsn"
        return f"GRANT SELECT ON SEQUENCE, each in {where}: how far a sequence has come is hidden without it"


@dataclass(frozen=True)
class OwnTables(Permission):
    """The right to read what a team's own statement reads."""

    database: str | None
    """Its database, with `*` and `?` where it may be several; None is the one that the dsn names."""

    def text(self) -> str:
        """The grant, as far as it is known."""
        where = f"database {self.database}" if self.database else "the database of the dsn"
        return f"GRANT SELECT on what its sql reads, in {where}"


@dataclass(frozen=True)
class MakeDatabases(Permission):
    """The right to make databases on a scratch server, and to drop those again."""

    def text(self) -> str:
        """The right and its reason."""
        return "CREATEDB: a restore drill makes a database of its own, and drops it"


READ_SESSIONS = RoleGrant("pg_read_all_stats", "what the sessions of other roles do is hidden without it")
READ_SETTINGS = RoleGrant("pg_read_all_settings", "some settings are hidden without it, as if they were not there")
READ_SERVER_FILES = RoleGrant("pg_monitor", "the folders of WAL and archive status cannot be listed without it")
