"""Warning events of the cluster's components. They are evidence, never a verdict."""

from datetime import datetime
from typing import final

from opscheck.core.query import Timestamp
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.objects import KubernetesObject, ObjectReference, Part


@final
class EventSeries(Part, frozen=True):
    """The number of occurrences, as writers of events.k8s.io count them."""

    count: int | None = None
    last_observed_time: Timestamp | None = None


@final
class Event(KubernetesObject, frozen=True):
    """A Warning event. The server deletes it after an hour by default, so its absence proves nothing."""

    involved_object: ObjectReference | None = None
    reason: str | None = None
    message: str | None = None
    count: int | None = None
    last_timestamp: Timestamp | None = None
    """Null where the writer used events.k8s.io (kubernetes/kubernetes#90482)."""
    event_time: Timestamp | None = None
    series: EventSeries | None = None

    @property
    def seen_at(self) -> datetime | None:
        last_of_series = self.series and self.series.last_observed_time
        return last_of_series or self.last_timestamp or self.event_time or self.created

    @property
    def times(self) -> int:
        return (self.series and self.series.count) or self.count or 1


class ListWarnings(ListObjects[Event], name="kubernetes.warnings", resource="events"):
    """Lists Warning events."""

    called = "Warning events"
    field_selector = "type=Warning"
