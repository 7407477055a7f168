"""kubernetes.volumes: which claims have no volume though they should, and which are right to have none."""

from datetime import timedelta

import pytest

from opscheck import KubernetesTarget, Severity
from opscheck.core.observation import Problem, ProblemKind
from opscheck.demo.kubernetes import claim_condition, storage_class
from tests.checks.kubernetes.judging_volumes import GRACE, NOW, SECOND, Judged, a_claim, a_pod, ago, waiting

FORBIDDEN = Problem(kind=ProblemKind.DENIED, text="may not list storageclasses (403)", advice="grant it")


def pending(name="data-db-0", **fields):
    return a_claim(name, **{"phase": "Pending", "created": ago(hours=1)} | fields)


def test_bound_claims_are_well_and_counted():
    judged = Judged(a_claim(), a_claim("data-db-1"), a_pod("data-db-0"))

    assert [] == judged.observed
    assert {"volumes": 2, "bound volumes": 2} == judged.measurements


def test_no_claim_is_no_success():
    judged = Judged()

    assert ("0 volumes", ">= 1") == (judged.only().observed, judged.only().expected)


def test_nothing_is_missing_where_there_may_be_none():
    assert [] == Judged(min_matches=0).observed


# Waiting for the first consumer


def test_k8sgpt_storage_analyzer_pending_claim_without_a_pod_passes():
    judged = Judged(pending(storage_class="standard"))

    assert [] == judged.observed
    assert 0 == judged.measurements["bound volumes"]


def test_popeye_1003_pending_is_no_error_while_the_pod_is_young():
    assert [] == Judged(pending(), waiting("data-db-0", created=NOW - GRACE)).observed


def test_a_claim_that_a_pod_waits_for_beyond_the_grace_is_a_finding():
    judged = Judged(pending(), waiting("data-db-0", created=NOW - GRACE - SECOND))
    violation = judged.only()

    assert ("data-db-0", Severity.P1) == (violation.subject, violation.severity)
    assert "Pending for 15m1s: storage class standard has no volume for it; pod db-0 waits for it" == violation.observed
    assert "Bound within 15m" == violation.expected
    assert NOW - GRACE - SECOND == violation.since
    assert "target/default/persistentvolumeclaim/data-db-0" == violation.about
    assert ("pod db-0: 0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.",) == (
        violation.evidence[:1]
    )
    events = "--field-selector=involvedObject.kind=PersistentVolumeClaim,involvedObject.name=data-db-0"
    assert [
        "kubectl -n default describe pvc data-db-0",
        f"kubectl -n default get events {events}",
        "kubectl -n default get storageclass standard -o yaml",
        "kubectl -n default describe pod db-0",
    ] == judged.commands


def test_the_claim_of_a_generic_ephemeral_volume_has_a_consumer_too():
    judged = Judged(pending("db-0-scratch"), waiting(ephemeral=["scratch"], created=ago(hours=1)))

    assert judged.only().observed.endswith("pod db-0 waits for it")


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_ended_waits_for_nothing(phase):
    assert [] == Judged(pending(), a_pod("data-db-0", phase=phase)).observed


def test_a_pod_that_goes_waits_for_nothing():
    assert [] == Judged(pending(), waiting("data-db-0", created=ago(hours=1), deleted=ago(seconds=5))).observed


def test_a_pod_of_another_namespace_is_no_consumer():
    other = waiting("data-db-0", namespace="other", created=ago(hours=1))

    assert [] == Judged(pending(), other, namespace="*").observed


def test_a_claim_does_not_explain_a_pod_that_no_node_takes_for_want_of_cpu():
    full = waiting("data-db-0", message="0/3 nodes are available: 3 Insufficient cpu.", created=ago(hours=1))
    violation = Judged(pending(), full).only()

    assert "" == violation.about
    assert ("pod db-0: 0/3 nodes are available: 3 Insufficient cpu.",) == violation.evidence[:1]


# Volumes that are made at once, or not at all


@pytest.mark.parametrize(("age", "found"), [(GRACE, 0), (GRACE + SECOND, 1)])
def test_an_immediate_claim_needs_no_pod_to_be_late(age, found):
    judged = Judged(pending(storage_class="fast", created=NOW - age))

    assert found == len(judged.observed)


def test_a_young_pod_does_not_excuse_an_immediate_claim():
    judged = Judged(pending(storage_class="fast"), waiting("data-db-0", created=ago(minutes=1)))

    assert "Pending for 1h: storage class fast has no volume for it; pod db-0 waits for it" == judged.only().observed


def test_a_class_that_does_not_exist_is_named():
    judged = Judged(pending(storage_class="fsat"))

    assert "Pending for 1h: storage class fsat does not exist, and no existing volume fits" == judged.only().observed
    assert "kubectl -n default get storageclass  # look for fsat" in judged.commands
    assert not any("get storageclass fsat" in command for command in judged.commands)


def test_a_bound_claim_may_name_a_class_that_does_not_exist():
    # Volumes that an administrator makes by hand are often matched by such a name.
    assert [] == Judged(a_claim(storage_class="manual")).observed


def test_a_claim_of_no_class_waits_for_a_volume_that_exists():
    judged = Judged(pending(storage_class=""))

    assert judged.only().observed.startswith('Pending for 1h: storage class ""')


def test_a_claim_without_any_class_is_late_too():
    assert (
        Judged(pending(storage_class=None))
        .only()
        .observed.endswith("no storage class is named, and no existing volume fits")
    )


def test_a_claim_that_asks_for_a_volume_by_name_waits_for_no_pod():
    judged = Judged(pending(volume="pv-7"))

    assert "Pending for 1h: its volume pv-7 is not bound to it" == judged.only().observed
    assert "kubectl -n default get pv pv-7" in judged.commands
    assert not any("get storageclass" in command for command in judged.commands)


# Storage classes that may not be read


def test_healthy_claims_are_judged_without_the_storage_classes():
    assert [] == Judged(a_claim(), pending("young", created=ago(minutes=1)), classes=FORBIDDEN).observed


def test_a_pending_claim_is_unknown_without_its_class():
    judged = Judged(a_claim(), pending(), classes=FORBIDDEN)

    assert ("may not list storageclasses (403)", "grant it") == (judged.unknown, judged.advice)


def test_a_lost_claim_is_found_beside_one_that_is_unknown():
    judged = Judged(pending("a"), a_claim("b", phase="Lost"), classes=FORBIDDEN)

    assert judged.unknown
    assert "b" == judged.only().subject


def test_a_pending_claim_with_a_consumer_needs_no_class():
    judged = Judged(pending(), waiting("data-db-0", created=ago(hours=1)), classes=FORBIDDEN)

    assert 1 == len(judged.observed)


@pytest.mark.parametrize("fields", [{"storage_class": ""}, {"storage_class": None}, {"volume": "pv-7"}])
def test_a_pending_claim_that_is_not_made_by_a_class_needs_none(fields):
    assert 1 == len(Judged(pending(**fields), classes=FORBIDDEN).observed)


# Lost, stuck, going


def test_a_lost_claim_is_a_finding_at_once():
    judged = Judged(a_claim(phase="Lost", volume="pv-7", created=ago(seconds=1)))

    assert "Lost: volume pv-7 does not exist" == judged.only().observed
    assert "kubectl -n default get pv pv-7" in judged.commands


@pytest.mark.parametrize("kind", ["Resizing", "ControllerResizeError"])
@pytest.mark.parametrize(("age", "found"), [(GRACE, 0), (GRACE + SECOND, 1)])
def test_a_resize_may_take_as_long_as_the_grace(kind, age, found):
    judged = Judged(a_claim(conditions=[claim_condition(kind, NOW - age, "quota exceeded")]))

    assert found == len(judged.observed)


def test_a_file_system_that_does_not_grow_is_told_with_who_mounts_it():
    stuck = claim_condition("FileSystemResizePending", ago(hours=1), "Waiting for user to (re-)start a pod")
    judged = Judged(a_claim(conditions=[stuck]), a_pod("data-db-0"))

    assert "FileSystemResizePending for 1h: the volume has grown, the file system has not" == judged.only().observed
    assert ("Waiting for user to (re-)start a pod",) == judged.only().evidence[:1]
    assert (
        "kubectl -n default rollout restart statefulset/db  # the file system grows on the next mount"
        in judged.commands
    )


def test_a_file_system_grows_at_the_next_mount_and_until_then_nothing_is_stuck():
    assert [] == Judged(a_claim(conditions=[claim_condition("FileSystemResizePending", ago(days=9))])).observed


def test_unknown_conditions_never_alarm():
    assert [] == Judged(a_claim(conditions=[claim_condition("SnapshotInProgress", ago(days=9))])).observed


def test_a_condition_that_does_not_hold_never_alarms():
    over = claim_condition("Resizing", ago(days=9)) | {"status": "False"}

    assert [] == Judged(a_claim(conditions=[over])).observed


@pytest.mark.parametrize(("age", "found"), [(GRACE, 0), (GRACE + SECOND, 1)])
def test_a_deleted_claim_may_take_as_long_as_the_grace(age, found):
    assert found == len(Judged(a_claim(deleted=NOW - age)).observed)


def test_a_claim_that_is_deleted_and_in_use_names_who_loses_it():
    judged = Judged(a_claim(deleted=ago(hours=2)), a_pod("data-db-0"))

    assert (
        "deleted 2h ago and not removed: pod db-0 still uses it, and loses it at the next restart"
        == judged.only().observed
    )
    assert "kubectl -n default get pvc data-db-0 -o jsonpath='{.metadata.finalizers}'" in judged.commands


def test_a_claim_that_nobody_uses_is_held_by_its_finalizers():
    judged = Judged(a_claim(deleted=ago(hours=2)))

    assert judged.only().observed.endswith("finalizers: kubernetes.io/pvc-protection")


# Where, and how commands are written


def test_several_namespaces_stand_before_the_names():
    judged = Judged(a_claim(namespace="shop", phase="Lost"), namespace="*")

    assert "shop/data-db-0" == judged.only().subject
    assert "kubectl -n shop describe pvc data-db-0" in judged.commands


def test_a_pinned_context_stands_in_every_command():
    pinned = KubernetesTarget(kind="kubernetes", namespace="default", context="prod")

    assert all(
        one.startswith("kubectl --context prod -n default ")
        for one in Judged(pending("x", storage_class="fast"), target=pinned).commands
    )


def test_claims_are_selected_by_label_and_name():
    chosen = a_claim("data-db-0", labels={"app": "db"})
    other = pending("data-web-0", storage_class="fast", labels={"app": "web"})

    assert [] == Judged(chosen, other, selector="app=db").observed
    assert [] == Judged(chosen, other, name="data-db-*").observed


def test_the_mixins_label_leaves_claims_out():
    excluded = a_claim("scratch", phase="Lost", labels={"excluded-from-alerts": "true"})

    assert [] == Judged(a_claim(), excluded, selector="excluded-from-alerts!=true").observed


@pytest.mark.parametrize("grace", ["1m", "2h"])
def test_the_grace_is_the_policys(grace):
    late = {"1m": 1, "2h": 0}

    assert late[grace] == len(Judged(pending(storage_class="fast"), grace=grace).observed)


def test_a_clock_that_is_behind_alarms_nobody():
    assert [] == Judged(pending(storage_class="fast", created=NOW + timedelta(hours=1))).observed


def test_classes_are_of_the_cluster():
    assert [] == Judged(pending(storage_class="late"), classes=(storage_class("late"),)).observed
