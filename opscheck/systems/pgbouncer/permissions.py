"""The right to look around at PgBouncer's console, as lines of its files."""

from collections.abc import Iterable

from opscheck.core.query import Permission
from opscheck.systems.pgbouncer.target import PgbouncerTarget

_LINES = """; pgbouncer.ini, in [pgbouncer]; add to the users that are there already
stats_users = opscheck
; the file that auth_file names
"opscheck" "PASSWORD"
; and then, as one of admin_users, at the console: RELOAD;
"""

COMMENT = ";"
"""What begins a comment in the text that `render` returns."""


def render(target: PgbouncerTarget, permissions: Iterable[Permission]) -> str:  # noqa: ARG001 - as every kind of target
    """
    What an administrator adds to pgbouncer.ini and to the file of `auth_file`; PASSWORD stands for one to be chosen.

    A user of stats_users may say SHOW and nothing else.
    """
    return _LINES
