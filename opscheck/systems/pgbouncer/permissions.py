"""The right to read PgBouncer's console, as lines of its files."""

from collections.abc import Iterable

from opscheck.core.query import Permission
from opscheck.systems.pgbouncer.target import PgbouncerTarget

_LINES = """; pgbouncer.ini, in [pgbouncer]; add it to the existing users
stats_users = opscheck
; the file of auth_file
"opscheck" "PASSWORD"
; then, as one of admin_users, at the console: RELOAD;
"""

COMMENT = ";"
"""The start of a comment in the text that `render` returns."""


def render(target: PgbouncerTarget, permissions: Iterable[Permission]) -> str:  # noqa: ARG001 - as every kind of target
    """
    The lines to add to pgbouncer.ini and to the file of `auth_file`; PASSWORD is a placeholder.

    A user of stats_users may run SHOW and nothing else.
    """
    return _LINES
