"""What every query to a server and every expectation of one has, and which server answers."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from opscheck.core.expectation import Expectation
from opscheck.core.query import Identity, Permission, Query
from opscheck.systems.postgres.grants import RoleGrant
from opscheck.systems.postgres.target import PostgresTarget

A = TypeVar("A")

NEWEST_KNOWN = 18
"""The newest major version whose columns are known here; a newer one gets the same statements."""

_SERVER = "\0"  # no database is called so


def identifier(name: str) -> str:
    """A name as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class ServerQuery(Query[A]):
    """One query to a server. The probe requires `needs` before it runs: without them some answers are wrong."""

    needs: ClassVar[tuple[RoleGrant, ...]] = ()
    """The predefined roles without which the server hides part of the answer, or refuses it."""
    what: ClassVar[str] = ""
    """What is queried, in words."""

    @property
    def group(self) -> str:
        """Sent one after the other, on one connection."""
        return _SERVER

    def permissions(self) -> tuple[Permission, ...]:
        """The roles of `needs`."""
        return self.needs

    def text(self) -> str:
        """The query in words."""
        return self.what or super().text()


@dataclass(frozen=True)
class ReadIdentity(ServerQuery[Identity], name="postgres.identity"):
    """Which server answers, in which version and role, and the role of the dsn there."""

    what = "ask which server this is, and who this client is to it"


class InServer(Expectation):
    """Looks at a server as a whole."""

    target: PostgresTarget
    """The server."""

    @property
    def server(self) -> str:
        """Its address, as the subject of findings; the target's name where the dsn has none."""
        return self.target.address or self.target.name

    def evidence_queries(self) -> Iterable[Query[Any]]:
        """Which server answers, and the role of the dsn there: for the report."""
        yield ReadIdentity(self.target.name)
