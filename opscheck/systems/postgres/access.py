"""postgres.access: the role that opscheck logs in with may read, and nothing else."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from opscheck.core.query import Query
from opscheck.core.remedy import Former, Remedy
from opscheck.core.units import Severity
from opscheck.systems.postgres.server import InServer, ServerQuery


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
class ReadOwnRole(ServerQuery[OwnRole], name="postgres.own-role"):
    what = "what the role of the dsn may do beside reading"


OWN_ROLE = Remedy("Give opscheck a role of its own that may only look; `opscheck permissions` prints its grants")
# `psql -c` does not replace variables; what it reads from a pipe it does.
CREATE_ROLE = Remedy(
    OWN_ROLE.summary,
    "printf '%s\\n' \"select 'create role opscheck login' where not exists "
    "(select from pg_roles where rolname = 'opscheck')\" '\\gexec' 'grant pg_monitor to opscheck;' "
    "| psql {{ dsn }}  # give it a \\password, and put it into the dsn",
)
DEMOTE = Remedy(
    "Make the superuser an ordinary role", "echo 'alter role :\"role\" nosuperuser' | psql {{ dsn }} -v role={{ role }}"
)
REVOKE = Remedy(
    "Take the membership away from opscheck's role",
    'echo \'revoke :"membership" from :"role"\' '
    "| psql {{ dsn }} -v membership={{ membership }} -v role={{ role }}  # as a superuser",
)
ALTER_ROLE = Remedy(
    "Take the attribute away from opscheck's role",
    "echo 'alter role :\"role\" :attribute' "
    "| psql {{ dsn }} -v role={{ role }} -v attribute={{ attribute }}  # as a superuser",
)


class PostgresAccess(InServer, check="postgres.access"):
    """
    The role of opscheck can read, and nothing else.

    Every question is asked in a read-only transaction, but that protects from mistakes alone: a function such as
    `pg_switch_wal()` acts in it too, and the dsn lies where opscheck runs. So the role should be no superuser, own no
    database, change no row, and be a member of no predefined role that acts.
    """

    remedies = (OWN_ROLE, CREATE_ROLE, DEMOTE, REVOKE, ALTER_ROLE)
    fact_names: ClassVar = {
        "role": "the role that opscheck logs in with",
        "membership": "a role that may do more than read, and of which it is a member",
        "attribute": "an attribute that allows more than reading, as ALTER ROLE takes it away: NOCREATEROLE",
    }
    former_fact_names: ClassVar = {
        "superuser": Former("role", CREATE_ROLE),
        "demotable": Former("role", DEMOTE),
        "attribute_role": Former("role", ALTER_ROLE),
    }

    severity: Severity = Severity.P3
    """How bad it is that the role may do more than look."""
    allowed: tuple[str, ...] = ()
    """What it may do all the same: attributes such as REPLICATION, and roles such as pg_signal_backend."""

    def queries(self) -> Iterable[Query[Any]]:
        return (self.own_role,)

    @property
    def own_role(self) -> ReadOwnRole:
        return ReadOwnRole(self.target.name)
