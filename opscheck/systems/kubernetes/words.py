"""Times, messages and reasons in words, for the findings of all concerns."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from opscheck.core.masking import mask_secrets
from opscheck.core.observation import Problem, ProblemKind
from opscheck.core.units import format_duration
from opscheck.core.words import some_with_reasons
from opscheck.systems.kubernetes.objects import KubernetesObject


def longer_than(grace: float, since: datetime | None, now: datetime) -> bool:
    """True when it has lasted longer than `grace` seconds. Without a time there is no grace."""
    return since is None or now - since > timedelta(seconds=grace)


def is_young(one: KubernetesObject, now: datetime, grace: float) -> bool:
    """True for an object that was created within the last `grace` seconds."""
    return not longer_than(grace, one.created, now)


def span(since: datetime, now: datetime) -> str:
    """The time since then: `20m`; `0s` for a time in the future, where clocks differ."""
    return format_duration(max(0.0, (now - since).total_seconds()))


def lasting(since: datetime | None, now: datetime) -> str:
    """` for 20m`; empty without a time."""
    return f" for {span(since, now)}" if since and since <= now else ""


def latest(*times: datetime | None) -> datetime | None:
    """The last of the known times."""
    return max((time for time in times if time), default=None)


_LONGEST_MESSAGE = 400


def messages(*texts: str | None) -> tuple[str, ...]:
    """The messages that are not empty."""
    return tuple(line for text in texts if (line := message(text)))


def message(text: str | None) -> str:
    """A component's message in one line, shortened, with secrets masked; empty without one."""
    line = mask_secrets(" ".join((text or "").split()))
    return line if len(line) <= _LONGEST_MESSAGE else line[:_LONGEST_MESSAGE] + "…"


def cannot_tell(text: str, advice: str) -> Problem:
    """A problem that leaves the verdict unknown, and advice."""
    return Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice)


def not_up_to_date(stale: Mapping[str, str]) -> Problem | None:
    """The problem of objects whose status is outdated; None without such objects."""
    if not stale:
        return None
    return cannot_tell(
        f"no up-to-date status of {some_with_reasons(stale)}",
        "run it again in a minute; if the problem remains, see the log of kube-controller-manager",
    )
