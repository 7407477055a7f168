"""Access lists of Redis servers and sentinels that allow the queries of a policy, and nothing else."""

from collections.abc import Iterable

from opscheck.core.query import Permission
from opscheck.systems.redis.servers import AclCommand, SentinelCommand, acl_rule
from opscheck.systems.redis.target import RedisTarget


def render(target: RedisTarget, permissions: Iterable[Permission]) -> str:  # noqa: ARG001 - as for every kind of target
    """
    Commands for an administrator's `redis-cli` of Redis 6 or newer; replace PASSWORD.

    The user can access no key and no channel. Older servers have one password and no users.
    """
    permissions = list(permissions)
    servers = [permission.command for permission in permissions if isinstance(permission, AclCommand)]
    sentinels = [permission.command for permission in permissions if isinstance(permission, SentinelCommand)]
    text = acl_rule("opscheck", servers) + "\n"
    return f"{text}# at each sentinel that has users\n{acl_rule('opscheck', sentinels)}\n" if sentinels else text
