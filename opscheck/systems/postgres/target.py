"""PostgreSQL targets."""

from pydantic import Field, SecretStr

from opscheck.core.target import Target, without_credentials
from opscheck.core.units import PositiveCount


class PostgresTarget(Target, kind="postgres"):
    """A PostgreSQL server. A run opens one connection, and one more per database that is checked."""

    dsn: SecretStr
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
