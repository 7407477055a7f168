"""What a team's own SELECT yields."""

from dataclasses import dataclass

import msgspec

from opscheck.core.query import Permission
from opscheck.systems.postgres.queries.base import DatabaseQuery, OwnTables


class Selected(msgspec.Struct, frozen=True, kw_only=True):
    """What the statement yielded, as far as it was asked for."""

    database: str
    """Where it ran."""
    columns: tuple[str, ...]
    """The names of all its columns."""
    count: int
    """How many rows were counted."""
    more: bool = False
    """True when there are more rows than that."""
    values: tuple[str | None, ...] = ()
    """The number in each row, as text (`NaN` is one); None for NULL. Of two rows at most."""
    rows: tuple[tuple[str | None, ...], ...] = ()
    """The columns that the policy shows, in its order, cut to a length that a person reads."""


@dataclass(frozen=True)
class Select(DatabaseQuery[Selected], name="postgres.select"):
    """What one SELECT yields: the number in its only column, or how many rows."""

    sql: str = ""
    number: bool = False
    """True for the number; else rows are counted."""
    shown: tuple[str, ...] = ()
    """The columns whose values are asked for."""
    most: int = 1000
    """How many rows are counted at most."""

    def permissions(self) -> tuple[Permission, ...]:
        """What the statement reads is the team's own."""
        return (*super().permissions(), OwnTables(self.database))

    def asked_for(self) -> str:
        """For people."""
        return f"the {'number' if self.number else 'rows'} that the policy's sql yields"
