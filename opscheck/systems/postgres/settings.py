"""postgres.settings: settings, configuration files, extensions, checksums, collations and releases."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from opscheck.core.query import Permission, Query
from opscheck.core.remedy import Former, Remedy
from opscheck.core.units import Count, Duration, Graded, GradedMinimum, PositiveCount, Severity
from opscheck.systems.postgres.databases import DatabaseQuery, InDatabases, psql_command
from opscheck.systems.postgres.server import READ_SETTINGS, ServerQuery
from opscheck.systems.postgres.setting_rules import (
    Enabled,
    ExtensionRule,
    Setting,
    SettingRule,
    WantedExtension,
    WantedSetting,
)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of the query that exist, and all that wait for a restart."""

    role: str
    settings: tuple[Setting, ...]


@dataclass(frozen=True)
class ReadSettings(ServerQuery[Settings], name="postgres.settings"):
    """Settings by name, and the settings that wait for a restart."""

    needs = (READ_SETTINGS,)

    names: tuple[str, ...] = ()

    def text(self) -> str:
        """For people."""
        return f"the settings {', '.join(self.names)}" if self.names else "the settings that wait for a restart"


@dataclass(frozen=True)
class ConfigurationFilesGrant(Permission):
    """The right to read pg_file_settings and pg_hba_file_rules; predefined roles do not include it."""

    def text(self) -> str:
        """The grants and the reason."""
        grants = "GRANT SELECT ON pg_file_settings and pg_hba_file_rules, EXECUTE on the functions behind them"
        return f"{grants}: errors in configuration files are hidden without it"


CONFIGURATION_GRANTS = (
    "GRANT SELECT ON pg_file_settings, pg_hba_file_rules TO {role}",
    "GRANT EXECUTE ON FUNCTION pg_show_all_file_settings(), pg_hba_file_rules() TO {role}",
)
"""The statements that grant it, for one database."""


class FileError(msgspec.Struct, frozen=True, kw_only=True):
    """An invalid line of a configuration file."""

    file: str
    line: int
    name: str
    """The setting; empty where the line has none."""
    error: str


class FileErrors(msgspec.Struct, frozen=True, kw_only=True):
    """All such lines."""

    errors: tuple[FileError, ...]


@dataclass(frozen=True)
class ListFileErrors(ServerQuery[FileErrors], name="postgres.configuration-files"):
    """Errors in postgresql.conf, its included files and pg_hba.conf, as they are on disk now."""

    what = "errors in postgresql.conf and pg_hba.conf"

    def permissions(self) -> tuple[Permission, ...]:
        """The grants, because no predefined role includes them."""
        return (ConfigurationFilesGrant(),)


class ChecksumFailures(msgspec.Struct, frozen=True, kw_only=True):
    """Checksum failures of one database."""

    database: str | None
    """None for the shared catalogs."""
    count: int
    last: float | None
    """In seconds since 1970."""


class DatabaseState(msgspec.Struct, frozen=True, kw_only=True):
    """One database, even if it does not accept connections."""

    name: str
    invalid: bool
    """True after an interrupted DROP DATABASE; it can only be dropped."""
    collation: str
    """The locale of its sort order."""
    needs_version: bool
    """False where text is sorted by bytes, which does not depend on a library."""
    recorded: str | None = None
    """The collation's version when its indexes were built; None before PostgreSQL 15."""
    actual: str | None = None
    """The server's current version."""


class ServerState(msgspec.Struct, frozen=True, kw_only=True):
    """A server's version, checksums and databases."""

    server_version: int
    """The server_version_num: 180004."""
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
class ReadServerState(ServerQuery[ServerState], name="postgres.server-state"):
    """Version, checksums, collations, half-dropped databases."""

    what = "the server's version, its checksums, and the state of its databases"


class Extension(msgspec.Struct, frozen=True, kw_only=True):
    """An installed or available extension."""

    name: str
    installed: str | None
    """The version in the database."""
    available: str | None
    """The version of the server's files; None without files."""


class Extensions(msgspec.Struct, frozen=True, kw_only=True):
    """The installed and available extensions of a database."""

    database: str
    extensions: tuple[Extension, ...]


@dataclass(frozen=True)
class ListExtensions(DatabaseQuery[Extensions], name="postgres.extensions"):
    """The extensions of a database, with versions."""

    what = "extensions and their versions"


class Collation(msgspec.Struct, frozen=True, kw_only=True):
    """A collation of a column or an index whose version has changed."""

    name: str
    recorded: str
    actual: str


class Collations(msgspec.Struct, frozen=True, kw_only=True):
    """All such collations of a database."""

    database: str
    changed: tuple[Collation, ...]


@dataclass(frozen=True)
class ListCollations(DatabaseQuery[Collations], name="postgres.collations"):
    """Changed collations of columns and indexes."""

    what = "collations whose library has changed"


FALLBACKS = {
    "autovacuum_work_mem": "maintenance_work_mem",
    "autovacuum_vacuum_cost_limit": "vacuum_cost_limit",
    "autovacuum_vacuum_cost_delay": "vacuum_cost_delay",
}
"""Settings whose -1 refers to another setting."""

_AS_SUPERUSER = "  # as a superuser"
_SET = (
    'echo "alter system set :\\"setting\\" = :\'wanted\'{}" '
    "| psql {{{{ dsn }}}} -v setting={{{{ setting }}}} -v wanted={{{{ wanted }}}}" + _AS_SUPERUSER
)
SET = Remedy("Change the setting", _SET.format("; select pg_reload_conf()"))
SET_AND_RESTART = Remedy("Change the setting, and restart the server", _SET.format("") + "; then restart the server")
EDIT = Remedy("Change the setting in postgresql.conf, or in the file where it is set")
SHOW_PENDING = Remedy(
    "Restart the server, or revert the change",
    "echo \"select name, setting, sourcefile, sourceline from pg_settings where name = :'setting'\" "
    "| psql {{ dsn }} -xv setting={{ setting }}  # needs a restart of the server",
)
CREATE_EXTENSION = Remedy(
    "Create the extension",
    psql_command("'create extension :\"extension\";'", "extension") + _AS_SUPERUSER,
)
UPDATE_EXTENSION = Remedy(
    "Update the extension",
    psql_command("'alter extension :\"extension\" update;'", "extension") + _AS_SUPERUSER,
)
INSTALL_FILES = Remedy("Install the extension's files on the server, then create or update it")
_REINDEX = "Rebuild the indexes, then record the new version"
_REINDEX_ALL = "'reindex database :\"database\";'"
_AS_OWNER = "  # as its owner; it blocks writes"
REINDEX = Remedy(
    _REINDEX,
    psql_command(f"{_REINDEX_ALL} 'alter database :\"database\" refresh collation version;'") + _AS_OWNER,
)
REFRESH_COLLATION = Remedy(
    _REINDEX,
    psql_command(f"{_REINDEX_ALL} 'alter collation :collation refresh version;'", "collation") + _AS_OWNER,
)
DROP_DATABASE = Remedy(
    "Drop the database, which accepts no connections",
    "echo 'drop database :\"database\"' | psql {{ dsn }} -v database={{ database }}  # as its owner",
)
ENABLE_CHECKSUMS = Remedy("Stop the server, run pg_checksums --enable, and start it again")
SHOW_CORRUPT = Remedy(
    "Stop writing: fail over to a replica, or restore a backup",
    'psql {{ dsn }} -c "select datname, checksum_failures, checksum_last_failure '
    'from pg_stat_database where checksum_failures > 0"  # stop writing first: fail over, or restore',
)
SHOW_FILE_ERRORS = Remedy(
    "Fix the line before the next reload or restart",
    'psql {{ dsn }} -xc "select * from pg_file_settings where error is not null"',
)
UPGRADE = Remedy("Upgrade the server")


class Release(BaseModel):
    """Dates and numbers of one major version that replace opscheck's own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    end_of_life: date | None = None
    """The last day of support, such as a vendor's extended support."""
    newest_minor: PositiveCount | None = None
    """The newest minor release: 4 for 18.4."""


_OF_STATE = (
    "checksums",
    "checksum_failures",
    "collations",
    "invalid_databases",
    "end_of_life",
    "minor_releases_behind",
)


class PostgresSettings(InDatabases, check="postgres.settings"):
    """
    The server is configured as the policy requires.

    Each group is judged only where the policy names it, at `severity` or at its own severity. Settings are judged as
    clients have them, not with opscheck's own transaction settings. A missing setting never counts as its default.
    """

    needs_severity = True
    any_limit_of = (
        "settings",
        "pending_restart",
        "configuration_files",
        "extensions",
        "outdated_extensions",
        *_OF_STATE,
    )
    remedies = (
        SET,
        SET_AND_RESTART,
        EDIT,
        SHOW_PENDING,
        CREATE_EXTENSION,
        UPDATE_EXTENSION,
        INSTALL_FILES,
        REINDEX,
        REFRESH_COLLATION,
        ENABLE_CHECKSUMS,
        SHOW_CORRUPT,
        DROP_DATABASE,
        SHOW_FILE_ERRORS,
        UPGRADE,
    )
    fact_names: ClassVar = {
        "setting": "a setting with a wrong value, or one that waits for a restart",
        "wanted": "its expected value",
        "database": "a database, or the database of an extension or a collation",
        "extension": "an extension that could be created or updated",
        "collation": "the changed collation of a column, quoted for SQL",
    }
    former_fact_names: ClassVar = {
        "restart_setting": Former("setting", SET_AND_RESTART),
        "restart_wanted": Former("wanted", SET_AND_RESTART),
        "pending_setting": Former("setting", SHOW_PENDING),
        "missing_extension": Former("extension", CREATE_EXTENSION),
        "outdated_extension": Former("extension", UPDATE_EXTENSION),
        "collation_database": Former("database", REINDEX),
        "column_collation_database": Former("database", REFRESH_COLLATION),
        "invalid_database": Former("database", DROP_DATABASE),
        "corrupt": Former("subject", SHOW_CORRUPT),
        "bad_line": Former("subject", SHOW_FILE_ERRORS),
    }

    settings: Annotated[dict[str, WantedSetting], Field(min_length=1)] | None = None
    """
    Settings by name, each with its required value, or with one of `other_than`, `one_of`, `at_least` and `at_most`.

    Values are written as in postgresql.conf: `4MB` is 4096 kB, and a plain number is in the setting's unit.
    """
    pending_restart: Enabled = None
    """No changed setting waits for a restart."""
    configuration_files: Enabled = None
    """
    postgresql.conf and pg_hba.conf, as they are on disk, have no errors.

    With an error, a reload changes nothing, and a restart fails. No predefined role may read this:
    `opscheck permissions` prints the grants.
    """
    extensions: Annotated[dict[str, WantedExtension], Field(min_length=1)] | None = None
    """Extensions that must be installed in each of `databases`: `any`, a version, or `">= 3.4"`."""
    outdated_extensions: Enabled = None
    """Every extension of `databases` has the version of the server's files, as after ALTER EXTENSION … UPDATE."""
    checksums: Enabled = None
    """Data checksums are enabled, so that disk corruption is detected."""
    checksum_failures: Enabled = None
    """No checksum failures in any database or in the shared catalogs."""
    collations: Enabled = None
    """
    Collation versions are those with which the indexes were built; otherwise indexes miss existing rows.

    Databases record it from PostgreSQL 15 on, collations of single columns (in `databases`) on every version.
    """
    invalid_databases: Enabled = None
    """No database is left over from an interrupted DROP DATABASE."""
    end_of_life: GradedMinimum[Duration] | None = None
    """
    Minimum time until the major version's end of life.

    opscheck contains the dates; when they are two years old, a pass becomes `unknown`. `releases` overrides them.
    """
    minor_releases_behind: Graded[Count] | None = None
    """
    Maximum number of minor releases that are newer than the server's.

    opscheck contains the numbers; when they are six months old, a pass becomes `unknown`. `releases` overrides them.
    """
    releases: dict[int, Release] = Field(default={})
    """Overrides for major versions: `{14: {end_of_life: 2027-11-12, newest_minor: 25}}`."""

    def queries(self) -> Iterable[Query[Any]]:
        """The queries of its groups."""
        if self.settings is not None or self.pending_restart is not None:
            yield self.read_settings
        if self.configuration_files is not None:
            yield ListFileErrors(self.target.name)
        if any(getattr(self, name) is not None for name in _OF_STATE):
            yield self.state
        yield from super().queries()

    def in_database(self, database: str | None) -> Iterable[DatabaseQuery[Any]]:
        """Its extensions, and the collations of its columns."""
        if self.extensions is not None or self.outdated_extensions is not None:
            yield ListExtensions(self.target.name, database)
        if self.collations is not None:
            yield ListCollations(self.target.name, database)

    @property
    def read_settings(self) -> ReadSettings:
        """The named settings, and the settings that they fall back to."""
        names = {name.lower() for name in self.settings or ()}
        names |= {FALLBACKS[name] for name in names if name in FALLBACKS}
        return ReadSettings(self.target.name, tuple(sorted(names)))

    @property
    def state(self) -> ReadServerState:
        """Version, checksums and databases."""
        return ReadServerState(self.target.name)

    def severity_of(self, group: Literal[True] | Severity | None) -> Severity:
        """The severity of a violation in a group."""
        return group if isinstance(group, Severity) else self.ungraded_severity

    def _graded_severities(self) -> list[Severity]:
        rules: list[SettingRule | ExtensionRule] = [*(self.settings or {}).values(), *(self.extensions or {}).values()]
        own = (*(rule.severity for rule in rules), *(getattr(self, name) for name in self.any_limit_of))
        return [*super()._graded_severities(), *(one for one in own if isinstance(one, Severity))]
