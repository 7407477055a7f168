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
    """A PostgreSQL database. One connection serves the whole run, and one more each database that is visited."""

    url_schemes = SCHEMES

    dsn: Dsn
    """A libpq connection string or URL."""
    concurrency: PositiveCount = Field(default=2, le=4)
    """
    How many databases are visited at the same time, each over one connection of its own.

    In each, one question is asked after the other: opscheck must not be the one that fills the connections.
    """
    scratch: bool = False
    """
    True says that a restore drill may make databases on this server, and drop them again.

    The database that `dsn` names must have `scratch` in its name, and nothing in it.
    """

    @property
    def address(self) -> str:
        """Host, port and database."""
        return without_credentials(self.dsn.get_secret_value())

    def facts(self) -> dict[str, str]:
        """Its `dsn`, so that a command reaches the server as opscheck did."""
        return {"dsn": self.dsn.get_secret_value()}
