"""PgBouncer targets."""

from pydantic import Field

from opscheck.core.target import Target, without_credentials
from opscheck.core.units import PositiveCount
from opscheck.systems.postgres.target import Dsn


class PgbouncerTarget(Target, kind="pgbouncer"):
    """The console of a PgBouncer. A run opens one connection."""

    dsn: Dsn
    """A libpq connection string or URL for the database `pgbouncer`, as one of its `stats_users`."""
    concurrency: PositiveCount = Field(default=1, le=1)
    """Always one query at a time."""

    @property
    def address(self) -> str:
        """Host, port and the console's name."""
        return without_credentials(self.dsn.get_secret_value())

    def facts(self) -> dict[str, str]:
        """The `dsn`, so that printed commands connect as opscheck does."""
        return {"dsn": self.dsn.get_secret_value()}
