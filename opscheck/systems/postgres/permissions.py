"""The least privileges that opscheck needs in PostgreSQL, as an idempotent script for psql."""

import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote, urlsplit

from opscheck.core.query import Permission
from opscheck.systems.postgres.databases import is_pattern
from opscheck.systems.postgres.server import (
    ConnectGrant,
    MakeDatabases,
    OwnTables,
    RoleGrant,
    SequenceGrant,
    identifier,
)
from opscheck.systems.postgres.settings import CONFIGURATION_GRANTS, ConfigurationFilesGrant
from opscheck.systems.postgres.target import PostgresTarget

ROLE = "opscheck"

_MONITOR = "pg_monitor"
_OF_MONITOR = frozenset({"pg_read_all_settings", "pg_read_all_stats", "pg_stat_scan_tables"})
# A connection limit of -2 marks the leftover of an interrupted DROP DATABASE.
_DATABASES = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate AND datconnlimit <> -2"

COMMENT = "--"
"""The start of a comment in the text that `render` returns."""


def render(target: PostgresTarget, permissions: Iterable[Permission]) -> str:
    r"""
    A script for `psql` as a superuser: the role `opscheck`, the right to connect, and each grant with its reason.

    Grants inside a database, such as the right to read its sequences, follow a `\connect` to it.
    """
    wanted = list(dict.fromkeys(permissions))
    home = _database(target.address)
    lines = [*_role(target), *_connect(home, wanted), *_roles(wanted)]
    if MakeDatabases() in wanted:
        lines += [f"-- {MakeDatabases().text().partition(': ')[2]}", f"ALTER ROLE {ROLE} CREATEDB;"]
    for database, inside in _by_database(wanted, home).items():
        lines += _in_database(database, inside)
    return "\n".join(lines) + "\n"


def _role(target: PostgresTarget) -> list[str]:
    connections = 1 + target.concurrency
    return [
        f"-- The role of opscheck. Afterwards set its password: \\password {ROLE}",
        "DO $$ BEGIN",
        f"  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{ROLE}') THEN CREATE ROLE {ROLE} LOGIN; END IF;",
        "END $$;",
        f"-- A run opens at most {connections} connections; the limit allows two runs at the same time.",
        f"ALTER ROLE {ROLE} CONNECTION LIMIT {2 * connections};",
    ]


def _connect(home: str, wanted: list[Permission]) -> Iterator[str]:
    """The right to connect, to the dsn's database first."""
    if home:
        yield f"GRANT CONNECT ON DATABASE {identifier(home)} TO {ROLE};"
    else:
        yield f"-- If PUBLIC may not connect: GRANT CONNECT ON DATABASE … TO {ROLE};"
    for name in dict.fromkeys(one.database for one in wanted if isinstance(one, ConnectGrant)):
        if is_pattern(name):
            yield f"-- Every database that matches {_one_line(name)}; repeat it for new databases"
            names = f"{_DATABASES} AND datname ~ {_literal(_expression(name))}"
            yield from _loop(names, f"GRANT CONNECT ON DATABASE %I TO {ROLE}")
        elif name != home:
            yield f"GRANT CONNECT ON DATABASE {identifier(name)} TO {ROLE};"


def _roles(wanted: list[Permission]) -> Iterator[str]:
    """Each predefined role once, with its reasons, without roles that another one includes."""
    reasons: dict[str, list[str]] = {}
    for one in wanted:
        if isinstance(one, RoleGrant):
            reasons.setdefault(one.role, []).append(one.reason)
    if _MONITOR in reasons:
        for role in sorted(_OF_MONITOR & reasons.keys()):
            reasons[_MONITOR] += [f"{reason} ({role}, part of pg_monitor)" for reason in reasons.pop(role)]
    for role, why in reasons.items():
        yield from (f"-- {reason}" for reason in dict.fromkeys(why))
        yield f"GRANT {role} TO {ROLE};"


def _by_database(wanted: list[Permission], home: str) -> dict[str, list[Permission]]:
    """Grants inside databases, by database; the dsn's first, with an empty name where the dsn has none."""
    found: dict[str, list[Permission]] = {}
    for one in wanted:
        if isinstance(one, ConfigurationFilesGrant):
            found.setdefault(home, []).append(one)
        elif isinstance(one, SequenceGrant | OwnTables):
            found.setdefault(one.database or home, []).append(one)
    return dict(sorted(found.items(), key=lambda item: (item[0] != home, item[0])))


def _in_database(database: str, inside: list[Permission]) -> Iterator[str]:
    lines = [line for one in inside for line in _grants(one)]
    if is_pattern(database):
        yield f"-- Once in each database that matches {_one_line(database)}:"
        yield from (f"-- {line.removeprefix('-- ')}" for line in lines)
        return
    yield f"\\connect {identifier(database)}" if database else "-- In the database of the dsn:"
    yield from lines


def _grants(permission: Permission) -> list[str]:
    if isinstance(permission, SequenceGrant):
        return _sequences()
    if isinstance(permission, ConfigurationFilesGrant):
        return [
            "-- errors in configuration files are hidden without these",
            *(f"{grant.format(role=ROLE)};" for grant in CONFIGURATION_GRANTS),
        ]
    return [
        "-- The tables that the policy's sql reads; add their names:",
        f"-- GRANT USAGE ON SCHEMA … TO {ROLE}; GRANT SELECT ON … TO {ROLE};",
    ]


def _sequences() -> list[str]:
    return [
        "-- last values of sequences are hidden without these",
        *_loop(
            "SELECT DISTINCT relnamespace::regnamespace::name FROM pg_class "
            "WHERE relkind = 'S' AND relpersistence <> 't'",
            f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA %I TO {ROLE}",
        ),
        "-- for sequences created later, by each role that creates some:",
        f"-- ALTER DEFAULT PRIVILEGES FOR ROLE … GRANT SELECT ON SEQUENCES TO {ROLE};",
    ]


def _loop(names: str, grant: str) -> list[str]:
    """Run a statement for each name that a SELECT returns."""
    tag = next(tag for tag in ("$$", "$names$", "$opscheck$") if tag not in names)
    return [
        f"DO {tag} DECLARE name text; BEGIN FOR name IN",
        f"  {names}",
        f"  LOOP EXECUTE format({_literal(grant)}, name); END LOOP;",
        f"END {tag};",
    ]


def _expression(pattern: str) -> str:
    """A pattern with `*`, `?` and `[…]` as a regular expression of PostgreSQL."""
    parts = re.split(r"(\*|\?|\[[^\]]+\])", pattern)
    return f"^{''.join(_part(part) for part in parts)}$"


def _part(part: str) -> str:
    if part.startswith("[") and part.endswith("]"):
        return part.replace("[!", "[^", 1).replace("\\", "\\\\")
    return {"*": ".*", "?": "."}.get(part) or re.sub(r"([^A-Za-z0-9_-])", r"\\\1", part)


def _literal(text: str) -> str:
    quoted = text.replace("'", "''")
    return f"E'{quoted.replace(chr(92), chr(92) * 2)}'" if "\\" in text else f"'{quoted}'"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _database(address: str) -> str:
    if "://" in address:
        return unquote(urlsplit(address).path.lstrip("/"))
    words = dict(word.partition("=")[::2] for word in address.split())
    return words.get("dbname", "").strip("'")
