"""How a server is set up: its settings, its files, its databases and what is installed in them."""

from dataclasses import dataclass

import msgspec

from opscheck.core.query import Permission
from opscheck.systems.postgres.queries.base import READ_SETTINGS, DatabaseQuery, PostgresQuery


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One row of pg_settings, as it is for clients and not for opscheck's own session."""

    name: str
    type: str
    """bool, integer, real, enum or string."""
    value: str | None
    """Without its unit."""
    unit: str | None
    """What one of it is: 8kB, ms."""
    minimum: str | None
    context: str
    """When it can change: internal (never), postmaster (by a restart), sighup, superuser, user and so on."""
    source: str
    """Where the value comes from, as pg_settings has it: configuration file, default, command line."""
    place: str
    """File and line, where it comes from a file."""
    own: bool
    """True when opscheck's own role or dsn sets it, so that nobody knows what others have."""
    masked: bool
    """True when part of the value looks like a secret, and is not here."""
    pending_restart: bool


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that were asked for, as far as they are there, and all that wait for a restart."""

    role: str
    settings: tuple[Setting, ...]


@dataclass(frozen=True)
class AskSettings(PostgresQuery[Settings], name="postgres.settings"):
    """Some settings by their names, and which wait for a restart."""

    needs = (READ_SETTINGS,)

    names: tuple[str, ...] = ()

    def text(self) -> str:
        """For people."""
        return f"the settings {', '.join(self.names)}" if self.names else "the settings that wait for a restart"


@dataclass(frozen=True)
class ReadConfigurationFiles(Permission):
    """The right to read what the server makes of its configuration files; no predefined role has it."""

    def text(self) -> str:
        """The grants and their reason."""
        grants = "GRANT SELECT ON pg_file_settings and pg_hba_file_rules, EXECUTE on the functions behind them"
        return f"{grants}: errors in configuration files are hidden without it"


CONFIGURATION_GRANTS = (
    "GRANT SELECT ON pg_file_settings, pg_hba_file_rules TO {role}",
    "GRANT EXECUTE ON FUNCTION pg_show_all_file_settings(), pg_hba_file_rules() TO {role}",
)
"""The statements that allow it, for one database."""


class FileError(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a configuration file that the server would not accept."""

    file: str
    line: int
    name: str
    """The setting, empty where the line names none."""
    error: str


class FileErrors(msgspec.Struct, frozen=True, kw_only=True):
    """All such lines."""

    errors: tuple[FileError, ...]


@dataclass(frozen=True)
class AskConfigurationFiles(PostgresQuery[FileErrors], name="postgres.configuration-files"):
    """What is wrong in postgresql.conf, in what it includes, and in pg_hba.conf, as they are on disk now."""

    def permissions(self) -> tuple[Permission, ...]:
        """More than any predefined role allows."""
        return (ReadConfigurationFiles(),)

    def text(self) -> str:
        """For people."""
        return "errors in postgresql.conf and pg_hba.conf"


class ChecksumFailures(msgspec.Struct, frozen=True, kw_only=True):
    """Pages of one database that were read and were not what had been written."""

    database: str | None
    """None for what all databases share."""
    count: int
    last: float | None
    """In seconds since 1970."""


class DatabaseState(msgspec.Struct, frozen=True, kw_only=True):
    """One database, also one that nobody can connect to."""

    name: str
    invalid: bool
    """A DROP DATABASE was interrupted; it can only be dropped."""
    collation: str
    """The locale that sorts its texts."""
    needs_version: bool
    """False where texts are sorted by their bytes, which no library changes."""
    recorded: str | None = None
    """The version of the collation when its indexes were built; None before PostgreSQL 15."""
    actual: str | None = None
    """The version that the server has now."""


class ServerState(msgspec.Struct, frozen=True, kw_only=True):
    """A server's version, and whether its data can be trusted."""

    server_version: int
    """As server_version_num has it: 180004."""
    checksums: bool
    failures: tuple[ChecksumFailures, ...]
    databases: tuple[DatabaseState, ...]

    @property
    def major(self) -> int:
        """Such as 18."""
        return self.server_version // 10_000

    @property
    def minor(self) -> int:
        """Such as 4."""
        return self.server_version % 10_000


@dataclass(frozen=True)
class AskServerState(PostgresQuery[ServerState], name="postgres.server-state"):
    """Version, checksums, collations, databases that are half dropped."""

    def text(self) -> str:
        """For people."""
        return "the server's version, its checksums, and the state of its databases"


class Extension(msgspec.Struct, frozen=True, kw_only=True):
    """One that is installed, or could be."""

    name: str
    installed: str | None
    """The version that was created in the database."""
    available: str | None
    """The version of the server's files; None where they are gone."""


class Extensions(msgspec.Struct, frozen=True, kw_only=True):
    """What a database has, and could have."""

    database: str
    extensions: tuple[Extension, ...]


@dataclass(frozen=True)
class AskExtensions(DatabaseQuery[Extensions], name="postgres.extensions"):
    """Which extensions are installed, in which version."""

    def asked_for(self) -> str:
        """For people."""
        return "extensions and their versions"


class Collation(msgspec.Struct, frozen=True, kw_only=True):
    """A collation that somebody chose for a column or an index, and that has changed since."""

    name: str
    recorded: str
    actual: str


class Collations(msgspec.Struct, frozen=True, kw_only=True):
    """All such collations of a database."""

    database: str
    changed: tuple[Collation, ...]


@dataclass(frozen=True)
class AskCollations(DatabaseQuery[Collations], name="postgres.collations"):
    """Which collations of columns and indexes have changed."""

    def asked_for(self) -> str:
        """For people."""
        return "collations whose library has changed"
