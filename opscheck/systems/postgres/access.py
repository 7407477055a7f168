"""postgres.access: the role of opscheck can read, and nothing else."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from opscheck.core.query import Query
from opscheck.core.remedy import Former, Remedy
from opscheck.core.units import Severity
from opscheck.systems.postgres.server import InServer, ServerQuery


class OwnRole(msgspec.Struct, frozen=True, kw_only=True):
    """The role of the dsn, and its rights."""

    name: str
    superuser: bool
    bootstrap: bool = False
    """True for the superuser that initdb created, which cannot be demoted."""
    attributes: tuple[str, ...] = ()
    """Attributes that allow more than reading, such as CREATEROLE. Empty for a superuser."""
    roles: tuple[str, ...] = ()
    """Its roles that allow more than reading: pg_write_all_data, every superuser."""
    owned: tuple[str, ...] = ()
    """The databases that it owns, directly or through a role."""
    writable: tuple[str, ...] = ()
    """Some tables of the dsn's database whose rows it may change, with their schemas."""
    writable_count: int = 0
    """Number of all such tables."""


@dataclass(frozen=True)
class ReadOwnRole(ServerQuery[OwnRole], name="postgres.own-role"):
    what = "the rights of the dsn's role beyond reading"


OWN_ROLE = Remedy("Give opscheck its own read-only role; `opscheck permissions` prints the grants")
# `psql -c` does not replace variables; psql replaces them in its standard input.
CREATE_ROLE = Remedy(
    OWN_ROLE.summary,
    "printf '%s\\n' \"select 'create role opscheck login' where not exists "
    "(select from pg_roles where rolname = 'opscheck')\" '\\gexec' 'grant pg_monitor to opscheck;' "
    "| psql {{ dsn }}  # set its password with \\password, and use it in the dsn",
)
DEMOTE = Remedy(
    "Make the superuser an ordinary role", "echo 'alter role :\"role\" nosuperuser' | psql {{ dsn }} -v role={{ role }}"
)
REVOKE = Remedy(
    "Revoke the membership of opscheck's role",
    'echo \'revoke :"membership" from :"role"\' '
    "| psql {{ dsn }} -v membership={{ membership }} -v role={{ role }}  # as a superuser",
)
ALTER_ROLE = Remedy(
    "Remove the attribute from opscheck's role",
    "echo 'alter role :\"role\" :attribute' "
    "| psql {{ dsn }} -v role={{ role }} -v attribute={{ attribute }}  # as a superuser",
)


class PostgresAccess(InServer, check="postgres.access"):
    """
    The role of opscheck can read, and nothing else.

    Every query runs in a read-only transaction, but that only prevents mistakes: a function such as `pg_switch_wal()`
    still acts there, and the dsn is stored where opscheck runs. So the role should have no right to act:
    not as a superuser, owner of a database, writer of rows, or member of an acting predefined role.
    """

    remedies = (OWN_ROLE, CREATE_ROLE, DEMOTE, REVOKE, ALTER_ROLE)
    fact_names: ClassVar = {
        "role": "the role that opscheck logs in with",
        "membership": "a role that allows more than reading, and that it is a member of",
        "attribute": "an attribute that allows more than reading, in its negated form: NOCREATEROLE",
    }
    former_fact_names: ClassVar = {
        "superuser": Former("role", CREATE_ROLE),
        "demotable": Former("role", DEMOTE),
        "attribute_role": Former("role", ALTER_ROLE),
    }

    severity: Severity = Severity.P3
    """Severity when the role has more rights than reading."""
    allowed: tuple[str, ...] = ()
    """Allowed exceptions: attributes such as REPLICATION, and roles such as pg_signal_backend."""

    def queries(self) -> Iterable[Query[Any]]:
        return (self.own_role,)

    @property
    def own_role(self) -> ReadOwnRole:
        return ReadOwnRole(self.target.name)
