"""The least that opscheck needs in PostgreSQL, as SQL that can be applied as it is, and again."""

from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from opscheck.queries.base import Permission
from opscheck.queries.postgres.base import RoleGrant, identifier
from opscheck.targets import PostgresTarget

ROLE = "opscheck"


def render(target: PostgresTarget, permissions: Iterable[Permission]) -> str:
    """SQL for a superuser: the role `opscheck`, the right to connect, and each grant with its reason."""
    grants = dict.fromkeys(one for one in permissions if isinstance(one, RoleGrant))
    return "\n".join([*_role(), *_connect(target), *(line for grant in grants for line in _grant(grant))]) + "\n"


def _role() -> list[str]:
    return [
        f"-- A role of its own. Afterwards give it a password: \\password {ROLE}",
        "DO $$ BEGIN",
        f"  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{ROLE}') THEN CREATE ROLE {ROLE} LOGIN; END IF;",
        "END $$;",
    ]


def _connect(target: PostgresTarget) -> list[str]:
    database = _database(target.address)
    if not database:
        return [f"-- Where PUBLIC may not connect: GRANT CONNECT ON DATABASE … TO {ROLE};"]
    return [f"GRANT CONNECT ON DATABASE {identifier(database)} TO {ROLE};"]


def _grant(grant: RoleGrant) -> list[str]:
    return [f"-- {grant.reason}", f"GRANT {grant.role} TO {ROLE};"]


def _database(address: str) -> str:
    if "://" in address:
        return unquote(urlsplit(address).path.lstrip("/"))
    words = dict(word.partition("=")[::2] for word in address.split())
    return words.get("dbname", "").strip("'")
