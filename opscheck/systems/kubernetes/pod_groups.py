"""Pods grouped by the workload that owns them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from opscheck.core.observation import Problem
from opscheck.core.words import counted, some
from opscheck.systems.kubernetes.containers import Reported, containers
from opscheck.systems.kubernetes.objects import ROLLED_OUT
from opscheck.systems.kubernetes.pods import Pod
from opscheck.systems.kubernetes.words import cannot_tell

_NAMED = 3


@dataclass(frozen=True)
class PodGroup:
    """The pods of one workload; a pod without an owner is a group by itself."""

    owner: str
    """`deployment/api`; empty for a pod without an owner."""
    pods: tuple[Pod, ...]

    @property
    def rolled_out(self) -> bool:
        return self.owner.startswith(ROLLED_OUT)

    @property
    def is_of_jobs(self) -> bool:
        return self.owner.startswith(("job/", "cronjob/"))

    def named(self, pods: Iterable[Pod]) -> str:
        """These pods in words: `in 2 of 5 pods: web-1, web-2`."""
        names = sorted({pod.name for pod in pods})
        return f"in {len(names)} of {counted(len(self.pods), 'pod')}: {some(names, _NAMED)}"


def in_force(pods: Iterable[Pod]) -> tuple[Pod, ...]:
    """The pods that have neither ended nor terminate."""
    return tuple(pod for pod in pods if not pod.is_terminating and not pod.has_ended)


def by_workload(pods: Iterable[Pod]) -> tuple[PodGroup, ...]:
    """The pods grouped by workload, sorted by namespace and name."""
    found: dict[tuple[str, str, str], list[Pod]] = {}
    for pod in sorted(pods, key=lambda pod: (pod.namespace, pod.name)):
        owner = pod.top_owner
        found.setdefault((pod.namespace, owner, "" if owner else pod.name), []).append(pod)
    return tuple(PodGroup(owner, tuple(alike)) for (_, owner, _), alike in sorted(found.items()))


def judged_containers(pod: Pod, ignored: Sequence[str]) -> Iterator[Reported]:
    """Its containers, except those whose name matches one of the globs."""
    for container in containers(pod):
        if not any(fnmatchcase(container.name, glob) for glob in ignored):
            yield container


def nothing_judged() -> Problem:
    """The problem of an expectation that leaves out every container."""
    return cannot_tell("every container of the selected pods is ignored", "correct `ignore_containers`")
