"""Lines in pods' logs that match a pattern: counts and samples, never a whole log."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from opscheck.core.query import Permission, Query
from opscheck.core.remedy import Former
from opscheck.core.units import ByteSize, Count, Graded
from opscheck.systems.kubernetes.lists import KubernetesRule
from opscheck.systems.kubernetes.scope import InNamespaces, Window, kubectl


class ContainerLog(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The part of one container's log within the window that was read."""

    namespace: str
    pod: str
    container: str
    previous: bool = False
    """True for the run before the last restart."""
    owner: str = ""
    """The pod's top owner, such as `deployment/api`."""
    lines: int = 0
    matches: int = 0
    size: int = 0
    """Number of bytes that were read."""
    first_match: datetime | None = None
    last_match: datetime | None = None
    cut: bool = False
    """True when the log is longer than was read, so that `lines` and `matches` are a lower bound."""
    not_started: str = ""
    """The reason why the container has not started and has no log yet."""
    unread: str = ""
    """The reason why the log could not be read."""


class LogSignature(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Matching lines that differ only in numbers, identifiers and quoted texts."""

    text: str
    lines: int
    sample: str
    """One of them, shortened, with secrets masked."""
    pods: int = 1
    """Number of pods with such a line."""


class LogMatches(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The matching lines in the logs of the selected pods."""

    pods_there: int = 0
    """Number of pods in the namespaces of the query, selected or not."""
    pods_selected: int = 0
    containers: tuple[ContainerLog, ...] = ()
    signatures: tuple[LogSignature, ...] = ()
    """The most frequent ones, most frequent first."""


@dataclass(frozen=True)
class PodLogs(Query[LogMatches], name="kubernetes.logs"):
    """
    Counts the lines of the selected pods' logs that match `pattern`, over the last `window_s` seconds.

    It sends one LIST of pods, then one request for each container, and another if it restarted within the window.
    `max_bytes` limits the read bytes of each pod. Without `namespace` it covers all namespaces.
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
        return self.namespace

    def permissions(self) -> tuple[Permission, ...]:
        return (
            KubernetesRule("", "pods", "list", self.namespace),
            KubernetesRule("", "pods/log", "get", self.namespace),
        )

    def text(self) -> str:
        pods = f"pods with {self.selector}" if self.selector else "all pods"
        where = f"namespace {self.namespace}" if self.namespace else "every namespace"
        return f"count lines that match {self.pattern!r} in the logs of {pods} in {where}"


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise PydanticCustomError("regex", "a regular expression ({reason})", {"reason": str(error)}) from error
    if not value:
        raise PydanticCustomError("regex", "a regular expression that is not empty; an empty one matches every line")
    return value


Pattern = Annotated[str, AfterValidator(_pattern), Field(json_schema_extra={"format": "regex"})]


_READ = "Read the lines around the most frequent message, and fix its cause"
_LOGS = "logs {{ pod }} -c {{ container }} --since={{ since }}"
MATCHING_LINES = kubectl(_READ, f"{_LOGS} | grep -E -- {{{{ pattern }}}} | tail")
MATCHING_LINES_ANY_CASE = kubectl(_READ, f"{_LOGS} | grep -iE -- {{{{ pattern }}}} | tail")
ALL_LINES = kubectl(
    _READ, "logs -l {{ selector }} --all-containers --prefix --tail=-1 --since={{ since }} | tail -n 100"
)
LAST_ROLLOUTS = kubectl("Check whether it began with a rollout", "rollout history {{ owner }}")


class LogLines(InNamespaces, check="kubernetes.logs"):
    """
    The logs of the selected pods contain few lines that match the pattern.

    Lines within the window are counted per container, including those before a restart. The most frequent messages
    are evidence. If a log cannot be read, few matching lines prove nothing: the result is unknown.
    """

    reads_events = False
    remedies = (MATCHING_LINES, MATCHING_LINES_ANY_CASE, ALL_LINES, LAST_ROLLOUTS)
    fact_names = InNamespaces.fact_names | {
        "pod": "the pod with the most matching lines",
        "container": "its container that logged them",
        "owner": "the owner of that pod, such as deployment/api",
        "since": "the window in kubectl's format",
    }
    former_fact_names = InNamespaces.former_fact_names | {
        "logged_by": Former("pod"),
        "rollout": Former("owner", LAST_ROLLOUTS),
        "logged_selector": Former("selector"),
        "exact_pattern": Former("pattern", MATCHING_LINES),
        "caseless_pattern": Former("pattern", MATCHING_LINES_ANY_CASE),
    }

    pattern: Pattern
    """
    A Python regular expression that is searched in the first 4 KiB of each line.

    A repeat inside a repeat, such as `(a+)+`, can take forever on some lines; write `(a++)+` or `a+`.
    """
    ignore_case: bool = False
    """Ignore upper and lower case."""
    window: Window
    """
    The time in which lines count.

    Kubernetes keeps the newest log file of a container, about 10 MiB by default, and that of its run before the last
    restart. Older lines are deleted, and are not counted.
    """
    lines: Graded[Count]
    """Maximum number of matching lines, over all selected pods."""
    container: str | None = Field(default=None, min_length=1)
    """Only this container; by default all except init containers."""
    expect_lines: bool = False
    """Report unknown if no line was logged in the window, for pods that always log."""
    max_bytes: ByteSize = ByteSize.parse("10MB")
    """Maximum bytes that are read of each pod. A longer log is read in part, and its rest is unknown."""

    def queries(self) -> tuple[PodLogs, ...]:
        """One for each namespace; the probe lists its pods and reads each container's log."""
        return tuple(
            PodLogs(
                self.target.name,
                namespace=namespace,
                selector=self.selector,
                pattern=self.pattern,
                window_s=round(self.window),
                ignore_case=self.ignore_case,
                container=self.container,
                max_bytes=int(self.max_bytes),
            )
            for namespace in self.namespaces
        )
