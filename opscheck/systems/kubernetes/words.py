"""Times, messages and reasons in words, as findings of every concern write them."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from opscheck.core.masking import mask_secrets
from opscheck.core.observation import Problem, ProblemKind
from opscheck.core.units import format_duration
from opscheck.core.words import some_with_reasons
from opscheck.systems.kubernetes.objects import KubernetesObject


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


_LONGEST_MESSAGE = 400


def messages(*texts: str | None) -> tuple[str, ...]:
    """Those of the messages that say anything."""
    return tuple(line for text in texts if (line := message(text)))


def message(text: str | None) -> str:
    """What a component wrote into a status: in one line, shortened, with secrets masked; empty for nothing."""
    line = mask_secrets(" ".join((text or "").split()))
    return line if len(line) <= _LONGEST_MESSAGE else line[:_LONGEST_MESSAGE] + "…"


def cannot_tell(text: str, advice: str) -> Problem:
    """What stands in the way, and what a person can do about it."""
    return Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice)


def not_up_to_date(stale: Mapping[str, str]) -> Problem | None:
    """Why nothing can be said of objects whose controller has not looked at them as they are now; None of none."""
    if not stale:
        return None
    return cannot_tell(
        f"no up-to-date status of {some_with_reasons(stale)}",
        "look again in a minute; if it stays so, see the log of kube-controller-manager",
    )
