"""The question what containers logged, and the shape of its answer: counts and samples, never a whole log."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from opscheck.core.query import Permission, Query
from opscheck.systems.kubernetes.lists import KubernetesRule


class ContainerLog(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was read of one container's log inside the window."""

    namespace: str
    pod: str
    container: str
    previous: bool = False
    """True for the container that ran before the last restart."""
    owner: str = ""
    """The pod's top owner, such as `deployment/api`."""
    lines: int = 0
    matches: int = 0
    size: int = 0
    """How many bytes were read."""
    first_match: datetime | None = None
    last_match: datetime | None = None
    cut: bool = False
    """True when the log is longer than was read, so that `lines` and `matches` are a lower bound."""
    not_started: str = ""
    """Why there is no log yet: the container has not started."""
    unread: str = ""
    """Why the log could not be read."""


class LogSignature(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Matching lines that are the same but for numbers, identifiers and quoted texts."""

    text: str
    lines: int
    sample: str
    """One of them, shortened, with secrets masked."""
    pods: int = 1
    """In how many pods it was seen."""


class LogMatches(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the logs of the selected pods hold."""

    pods_there: int = 0
    """How many pods there are where the query looked, selected or not."""
    pods_selected: int = 0
    containers: tuple[ContainerLog, ...] = ()
    signatures: tuple[LogSignature, ...] = ()
    """The most frequent ones, most frequent first."""


@dataclass(frozen=True)
class PodLogs(Query[LogMatches], name="kubernetes.logs"):
    """
    How many lines of the selected pods' logs match `pattern`, over the last `window_s` seconds.

    One LIST of pods, then one request for each container, and one more where it restarted inside the window.
    `max_bytes` bounds what is read of each pod. `namespace` None is every namespace.
    """

    namespace: str | None
    selector: str | None
    pattern: str
    window_s: int
    ignore_case: bool = False
    container: str | None = None
    max_bytes: int = 10_000_000

    @property
    def scope(self) -> str | None:
        """The namespace."""
        return self.namespace

    def permissions(self) -> tuple[Permission, ...]:
        """List the pods and get their logs there."""
        return (
            KubernetesRule("", "pods", "list", self.namespace),
            KubernetesRule("", "pods/log", "get", self.namespace),
        )

    def text(self) -> str:
        """For people."""
        pods = f"pods with {self.selector}" if self.selector else "all pods"
        where = f"namespace {self.namespace}" if self.namespace else "every namespace"
        return f"count lines that match {self.pattern!r} in the logs of {pods} in {where}"
