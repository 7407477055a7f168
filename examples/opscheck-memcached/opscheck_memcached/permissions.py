"""The user that opscheck needs, for the file that memcached reads with `-Y`."""

from collections.abc import Iterable

from opscheck import Permission
from opscheck_memcached.stats import Login
from opscheck_memcached.target import MemcachedTarget

COMMENT = "#"


def render(target: MemcachedTarget, permissions: Iterable[Permission]) -> str:
    """Lines for the authentication file; replace PASSWORD with your own."""
    users = {target.user or permission.user for permission in permissions if isinstance(permission, Login)}
    lines = [f"{user}:PASSWORD" for user in sorted(users)]
    return "\n".join(["# in the file of `memcached -Y FILE`; nothing is needed where there is none", *lines])
