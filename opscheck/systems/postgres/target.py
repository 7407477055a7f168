"""PostgreSQL targets."""

import re
from typing import Annotated

from pydantic import Field, SecretStr

from opscheck.core.addresses import url_with
from opscheck.core.target import Target, without_credentials
from opscheck.core.units import PositiveCount

_LIBPQ_WORD = re.compile(r"\s*\w+\s*=")
SCHEMES = ("postgresql", "postgres")


def _is_connection_string(text: str) -> bool:
    return _LIBPQ_WORD.match(text) is not None


Dsn = Annotated[
    SecretStr,
    url_with(*SCHEMES, example="postgresql://user@db.example.com/shop", also=_is_connection_string),
]
"""A URL, or words of libpq such as `host=db.example.com dbname=shop`."""


class PostgresTarget(Target, kind="postgres"):
    """A PostgreSQL server. A run opens one connection, and one more per database that is checked."""

    url_schemes = SCHEMES

    dsn: Dsn
    """A libpq connection string or URL."""
    concurrency: PositiveCount = Field(default=2, le=4)
    """
    Number of databases that are read at the same time, each over its own connection.

    Within a database, queries run one after the other, so that opscheck does not fill up the connections.
    """
    scratch: bool = False
    """
    True allows a restore drill to create databases on this server and drop them.

    The name of the database in `dsn` must contain `scratch`, and the database must be empty.
    """

    @property
    def address(self) -> str:
        """Host, port and database."""
        return without_credentials(self.dsn.get_secret_value())

    def facts(self) -> dict[str, str]:
        """The `dsn`, so that printed commands connect as opscheck does."""
        return {"dsn": self.dsn.get_secret_value()}
