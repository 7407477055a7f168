"""Warning events as evidence in findings about an object."""

from collections import defaultdict
from datetime import datetime

from msgspec.structs import replace

from opscheck.core.findings import Observe
from opscheck.core.observation import Problem
from opscheck.core.record import Finding
from opscheck.core.units import format_duration
from opscheck.systems.kubernetes.events import Event, ListWarnings
from opscheck.systems.kubernetes.objects import KubernetesObject, ObjectReference
from opscheck.systems.kubernetes.scope import InNamespaces
from opscheck.systems.kubernetes.words import message

_MOST = 3


class Warnings:
    """The Warning events of an expectation's namespaces, by their object."""

    def __init__(self, expectation: InNamespaces, observe: Observe) -> None:
        self._now = observe.now
        self._events: dict[tuple[str, str, str], list[Event]] = defaultdict(list)
        self._unread = ""
        for query in expectation.lists(ListWarnings):
            answer = observe.evidence(query)
            if isinstance(answer, Problem):
                self._unread = f"Warning events could not be read: {answer.text}"
                continue
            for event in answer.items:
                self._events[_key_of(event)].append(event)

    def about(self, kind: str, one: KubernetesObject) -> tuple[str, ...]:
        """
        The newest warnings about `one`, with a kind such as `Pod`: `BackOff 12 times, 3m ago: ...`.

        Warnings about a deleted object of the same name are left out. The server deletes events after an hour, so their
        absence proves nothing.
        """
        events = [event for event in self._events[kind, one.namespace, one.name] if _is_about(event, one)]
        newest = sorted(events, key=lambda event: _age(event, self._now))[:_MOST]
        return (*map(self._in_words, newest), *([self._unread] if self._unread else []))

    def attach(self, finding: Finding, one: KubernetesObject) -> Finding:
        """`finding`, with the newest warnings about `one` as further evidence."""
        kind = type(one).__name__  # classes are called as the kinds are
        return replace(finding, evidence=(*finding.evidence, *self.about(kind, one)))

    def saying(self, words: str, namespace: str) -> tuple[str, ...]:
        """The newest warnings of a namespace with these words in their message, about any object."""
        there = (events for (_, where, _), events in self._events.items() if where == namespace)
        events = (event for of_one in there for event in of_one if words in (event.message or ""))
        newest = sorted(events, key=lambda event: (_age(event, self._now), event.name))[:_MOST]
        return tuple(map(self._in_words, newest))

    def _in_words(self, event: Event) -> str:
        times = f" {event.times} times" if event.times > 1 else ""
        ago = f", {format_duration(_age(event, self._now))} ago" if event.seen_at else ""
        return f"{event.reason or 'Warning'}{times}{ago}: {message(event.message)}"


def _key_of(event: Event) -> tuple[str, str, str]:
    about = event.involved_object or ObjectReference()
    return about.kind or "", about.namespace or "", about.name or ""


def _is_about(event: Event, one: KubernetesObject) -> bool:
    uid = event.involved_object and event.involved_object.uid
    return not uid or not (one.metadata and one.metadata.uid) or uid == one.metadata.uid


def _age(event: Event, now: datetime) -> float:
    return max(0.0, (now - event.seen_at).total_seconds()) if event.seen_at else float("inf")
