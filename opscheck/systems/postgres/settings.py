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
    """The settings of the query, as far as they exist, and all that wait for a restart."""

    role: str
    settings: tuple[Setting, ...]


@dataclass(frozen=True)
class ReadSettings(ServerQuery[Settings], name="postgres.settings"):
    """Some settings by their names, and which wait for a restart."""

    needs = (READ_SETTINGS,)

    names: tuple[str, ...] = ()

    def text(self) -> str:
        """For people."""
        return f"the settings {', '.join(self.names)}" if self.names else "the settings that wait for a restart"


@dataclass(frozen=True)
class ConfigurationFilesGrant(Permission):
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
class ListFileErrors(ServerQuery[FileErrors], name="postgres.configuration-files"):
    """What is wrong in postgresql.conf, in what it includes, and in pg_hba.conf, as they are on disk now."""

    what = "errors in postgresql.conf and pg_hba.conf"

    def permissions(self) -> tuple[Permission, ...]:
        """More than any predefined role allows."""
        return (ConfigurationFilesGrant(),)


class ChecksumFailures(msgspec.Struct, frozen=True, kw_only=True):
    """Pages of one database that were read and were not what had been written."""

    database: str | None
    """None for what all databases share."""
    count: int
    last: float | None
    """In seconds since 1970."""


class DatabaseState(msgspec.Struct, frozen=True, kw_only=True):
    """One database, also one that accepts no connection."""

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
class ReadServerState(ServerQuery[ServerState], name="postgres.server-state"):
    """Version, checksums, collations, databases that are half dropped."""

    what = "the server's version, its checksums, and the state of its databases"


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
class ListExtensions(DatabaseQuery[Extensions], name="postgres.extensions"):
    """Which extensions are installed, in which version."""

    what = "extensions and their versions"


class Collation(msgspec.Struct, frozen=True, kw_only=True):
    """A collation of a column or an index that has changed since."""

    name: str
    recorded: str
    actual: str


class Collations(msgspec.Struct, frozen=True, kw_only=True):
    """All such collations of a database."""

    database: str
    changed: tuple[Collation, ...]


@dataclass(frozen=True)
class ListCollations(DatabaseQuery[Collations], name="postgres.collations"):
    """Which collations of columns and indexes have changed."""

    what = "collations whose library has changed"


FALLBACKS = {
    "autovacuum_work_mem": "maintenance_work_mem",
    "autovacuum_vacuum_cost_limit": "vacuum_cost_limit",
    "autovacuum_vacuum_cost_delay": "vacuum_cost_delay",
}
"""Settings whose -1 means that another one counts."""

_AS_SUPERUSER = "  # as a superuser"
_SET = (
    'echo "alter system set :\\"setting\\" = :\'wanted\'{}" '
    "| psql {{{{ dsn }}}} -v setting={{{{ setting }}}} -v wanted={{{{ wanted }}}}" + _AS_SUPERUSER
)
SET = Remedy("Set it", _SET.format("; select pg_reload_conf()"))
SET_AND_RESTART = Remedy("Set it, and restart the server", _SET.format("") + "; then restart the server")
EDIT = Remedy("Set it in postgresql.conf, or where it is set now")
SHOW_PENDING = Remedy(
    "Restart the server, or take the change back",
    "echo \"select name, setting, sourcefile, sourceline from pg_settings where name = :'setting'\" "
    "| psql {{ dsn }} -xv setting={{ setting }}  # it takes a restart of the server",
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
_REINDEX = "Build the indexes again, then record the new version"
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
    "Drop the database, which nothing can connect to",
    "echo 'drop database :\"database\"' | psql {{ dsn }} -v database={{ database }}  # as its owner",
)
ENABLE_CHECKSUMS = Remedy("Stop the server, run pg_checksums --enable, and start it again")
SHOW_CORRUPT = Remedy(
    "Stop writing: fail over to a replica, or restore a backup",
    'psql {{ dsn }} -c "select datname, checksum_failures, checksum_last_failure '
    'from pg_stat_database where checksum_failures > 0"  # first of all stop writing: fail over, or restore',
)
SHOW_FILE_ERRORS = Remedy(
    "Correct the line before the next reload or restart",
    'psql {{ dsn }} -xc "select * from pg_file_settings where error is not null"',
)
UPGRADE = Remedy("Upgrade the server")


class Release(BaseModel):
    """What is known of one major version where it differs from what opscheck knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    end_of_life: date | None = None
    """The last day on which somebody fixes it, such as the vendor whose extended support is paid."""
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

    Each group is judged where the policy names it, at `severity` or at one of its own. Settings are judged as clients
    have them: not what opscheck sets for its own transaction. A setting that is not there is never taken for its
    default.
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
        "setting": "a setting that is not what it should be, or that waits for a restart",
        "wanted": "what it should be",
        "database": "a database, or the one of an extension or a collation",
        "extension": "an extension that could be created or updated",
        "collation": "the collation of a column that has changed, as SQL has it",
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
    Settings by name, each with the value that it must have, or with one of `other_than`, `one_of`, `at_least` and
    `at_most`. Values are written as in postgresql.conf: `4MB` is 4096 kB, and a number alone is in the setting's unit.
    """
    pending_restart: Enabled = None
    """No setting was changed in a way that takes a restart which has not come yet: the next one would surprise."""
    configuration_files: Enabled = None
    """
    postgresql.conf and pg_hba.conf, as they are on disk, have no error: with one, a reload changes nothing, and a
    restart fails. No predefined role may read this: `opscheck permissions` prints the grants.
    """
    extensions: Annotated[dict[str, WantedExtension], Field(min_length=1)] | None = None
    """Extensions that must be installed in each of `databases`: `any`, a version, or `">= 3.4"`."""
    outdated_extensions: Enabled = None
    """Every extension of `databases` has the version of the server's files, as after ALTER EXTENSION … UPDATE."""
    checksums: Enabled = None
    """Pages have checksums, so that a disk which changes data is noticed."""
    checksum_failures: Enabled = None
    """No page has been read that was not what had been written, in any database or in what all share."""
    collations: Enabled = None
    """
    No library has changed how texts are sorted since indexes were built: otherwise they miss rows that are there.

    Databases tell it from PostgreSQL 15 on, collations of single columns (in `databases`) on every version.
    """
    invalid_databases: Enabled = None
    """No database is left over from a DROP DATABASE that was interrupted."""
    end_of_life: GradedMinimum[Duration] | None = None
    """
    For how long the major version must still be maintained.

    opscheck knows the dates; when what it knows is two years old, what passes is unknown. `releases` overrides it.
    """
    minor_releases_behind: Graded[Count] | None = None
    """
    How many minor releases may be newer than the server's.

    opscheck looks nothing up: when what it knows is six months old, what passes is unknown. `releases` overrides it.
    """
    releases: dict[int, Release] = Field(default={})
    """Major versions of which the policy knows better: `{14: {end_of_life: 2027-11-12, newest_minor: 25}}`."""

    def queries(self) -> Iterable[Query[Any]]:
        """What its groups are judged by."""
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
        """The settings that it names, and those that they fall back to."""
        names = {name.lower() for name in self.settings or ()}
        names |= {FALLBACKS[name] for name in names if name in FALLBACKS}
        return ReadSettings(self.target.name, tuple(sorted(names)))

    @property
    def state(self) -> ReadServerState:
        """Version, checksums and databases."""
        return ReadServerState(self.target.name)

    def severity_of(self, group: Literal[True] | Severity | None) -> Severity:
        """How bad a violation in a group is."""
        return group if isinstance(group, Severity) else self.ungraded_severity

    def _graded_severities(self) -> list[Severity]:
        rules: list[SettingRule | ExtensionRule] = [*(self.settings or {}).values(), *(self.extensions or {}).values()]
        own = (*(rule.severity for rule in rules), *(getattr(self, name) for name in self.any_limit_of))
        return [*super()._graded_severities(), *(one for one in own if isinstance(one, Severity))]
