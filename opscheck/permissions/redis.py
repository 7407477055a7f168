"""The access list that lets opscheck ask what a policy needs of a Redis server, and nothing else."""

from collections.abc import Iterable

from opscheck.queries.base import Permission
from opscheck.queries.redis.base import AclCommand, acl_rule
from opscheck.targets import RedisTarget


def render(target: RedisTarget, permissions: Iterable[Permission]) -> str:  # noqa: ARG001 - as for every kind of target
    """
    What an administrator types into `redis-cli` of Redis 6 or newer; PASSWORD stands for one to be chosen.

    The user sees no key and no channel. Older servers know one password and no users.
    """
    commands = [permission.command for permission in permissions if isinstance(permission, AclCommand)]
    return acl_rule("opscheck", commands) + "\n"
