"""Warning events stand beside findings; whether there are any decides nothing."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from opscheck import KubernetesTarget
from opscheck.core.observation import Problem, ProblemKind
from opscheck.demo.kubernetes import event, pod
from opscheck.systems.kubernetes.events import Event, ListWarnings
from opscheck.systems.kubernetes.lists import ObjectList
from opscheck.systems.kubernetes.pods import Pod, PodsHealthy
from opscheck.systems.kubernetes.warnings import Warnings
from opscheck.testing import Answers, expect

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TARGET = KubernetesTarget(kind="kubernetes", namespace="shop")
WEB = msgspec.convert(pod("web-1", "shop"), Pod)


def about_web(*events, **fields) -> tuple[str, ...]:
    expectation = expect(PodsHealthy, TARGET, severity="P1", **fields)
    answer = ObjectList(tuple(msgspec.convert(one, Event) for one in events))
    return Warnings(expectation, Answers(dict.fromkeys(expectation.lists(ListWarnings), answer), NOW)).about("Pod", WEB)


def a_warning(name="one", *, about="Pod/web-1", minutes=3, **fields):
    given = {"reason": "BackOff", "message": "back-off restarting", "kind": "Warning"} | fields
    found = event(name, "shop", about=about, at=NOW - timedelta(minutes=minutes), **given)
    found["involvedObject"]["uid"] = WEB.metadata.uid if about == "Pod/web-1" else "another"
    return found


def test_a_warning_is_told_with_how_often_and_how_long_ago():
    assert ("BackOff 12 times, 3m ago: back-off restarting",) == about_web(a_warning(count=12))


def test_the_newest_three_are_told_newest_first():
    told = about_web(*(a_warning(str(minutes), minutes=minutes, reason=f"R{minutes}") for minutes in (50, 2, 9, 30)))

    assert ["R2", "R9", "R30"] == [line.partition(",")[0] for line in told]


def test_warnings_about_other_objects_are_not_its_own():
    predecessor = a_warning("old")
    predecessor["involvedObject"]["uid"] = "of the pod that had this name before"

    assert () == about_web(a_warning(about="Pod/web-2"), a_warning(about="Deployment/web-1"), predecessor)


def test_k8s_90482_a_writer_of_events_k8s_io_leaves_last_timestamp_null():
    modern = a_warning() | {"lastTimestamp": None, "firstTimestamp": None, "count": None}
    modern |= {"eventTime": "2026-03-01T11:00:00.123456Z"}
    modern |= {"series": {"count": 7, "lastObservedTime": "2026-03-01T11:58:00.000001Z"}}

    assert ("BackOff 7 times, 2m ago: back-off restarting",) == about_web(modern)


def test_an_event_that_says_nothing_is_no_crash():
    assert () == about_web({"metadata": None}, {})


def test_events_that_may_not_be_read_are_said_to_be_missing():
    expectation = expect(PodsHealthy, TARGET, severity="P1")
    denied = Problem(kind=ProblemKind.DENIED, text="may not list events")

    told = Warnings(expectation, Answers(lambda _: denied, NOW)).about("Pod", WEB)

    assert ("Warning events could not be read: may not list events",) == told


@pytest.mark.parametrize("namespaces", [["shop", "other"], "*"])
def test_every_namespace_that_is_looked_at_is_asked(namespaces):
    told = about_web(a_warning(), namespace=namespaces)

    assert told[0].startswith("BackOff")
