"""Since when something is as it is, in words, and whether that has been for too long."""

from datetime import datetime, timedelta

from opscheck.core.units import format_duration
from opscheck.systems.kubernetes.queries.objects import KubernetesObject


def longer_than(grace: float, since: datetime | None, now: datetime) -> bool:
    """True when it has lasted longer than `grace` seconds. What has no time is not given the benefit of one."""
    return since is None or now - since > timedelta(seconds=grace)


def is_young(one: KubernetesObject, now: datetime, grace: float) -> bool:
    """True for an object that was made `grace` seconds ago or later."""
    return not longer_than(grace, one.created, now)


def span(since: datetime, now: datetime) -> str:
    """How long ago that is: `20m`; `0s` where clocks differ and it is still to come."""
    return format_duration(max(0.0, (now - since).total_seconds()))


def lasting(since: datetime | None, now: datetime) -> str:
    """` for 20m`; empty where nothing says since when."""
    return f" for {span(since, now)}" if since and since <= now else ""


def latest(*times: datetime | None) -> datetime | None:
    """The last of the times that are known."""
    return max((time for time in times if time), default=None)
