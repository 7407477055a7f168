"""kubernetes.volumes: how full mounted volumes are, judged by the worst of what was measured, and never by silence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscheck import Severity
from opscheck.demo.kubernetes import storage_class
from opscheck.systems.kubernetes.volumes import VolumeStats, VolumeUsage
from tests.checks.kubernetes.judging_volumes import GI, Judged, a_claim, a_pod, ago, measured, used


def mounted(name="data-db-0", **fields):
    return a_claim(name, **fields), a_pod(name)


def kubelet(**fields) -> VolumeUsage:
    known = {"namespace": "default", "claim": "data-db-0", "at": ago(seconds=30)}
    known |= {"available": 1.0 * GI, "capacity": 10.0 * GI, "used": 9.0 * GI}
    return VolumeUsage(**known | fields)


def proxied(*objects, volumes=(), unread=None, **fields) -> Judged:
    stats = VolumeStats(volumes=tuple(volumes), unread=unread or {})
    return Judged(*objects, stats=stats, **{"usage_from": "kubelet-proxy", "used": {"P2": "85%", "P1": "95%"}} | fields)


def test_a_volume_with_room_is_measured_and_well():
    judged = used(*mounted(), series=[measured()])

    assert [] == judged.observed
    assert 40.0 == pytest.approx(judged.measurements["used"])


def test_a_full_volume_is_graded_and_told_with_what_makes_room():
    judged = used(*mounted(), series=[measured(available=0.4 * GI, used=9.6 * GI)], used={"P2": "85%", "P0": "95%"})
    violation = judged.only()

    assert ("data-db-0", Severity.P0) == (violation.subject, violation.severity)
    assert "used 96% (429MB left of 10.7GB)" == violation.observed
    assert "<= 95%" == violation.expected
    assert ("target/default/persistentvolumeclaim/data-db-0", ()) == (violation.about, violation.because)
    larger = """'{"spec":{"resources":{"requests":{"storage":"20Gi"}}}}'"""
    assert [
        "kubectl -n default describe pvc data-db-0",
        "kubectl -n default exec db-0 -- df -h",
        f"kubectl -n default patch pvc data-db-0 -p {larger}",
    ] == judged.commands


@pytest.mark.parametrize(("available", "found"), [(1.0, 0), (0.99, 1)])
def test_the_limit_itself_is_kept(available, found):
    assert found == len(used(*mounted(), series=[measured(available=available * GI)]).observed)


def test_no_larger_claim_is_suggested_where_the_class_does_not_let_it_grow():
    judged = used(*mounted(storage_class="fast"), series=[measured(available=0, used=10 * GI)])

    assert not any("patch pvc" in command for command in judged.commands)


def test_inodes_are_judged_by_themselves():
    few = measured(inodes_free=10, inodes_used=990)
    judged = used(*mounted(), series=[few], inodes={"P1": "97%"})

    assert ["inodes used 99% (10 left of 1000)"] == judged.observed
    assert "kubectl -n default exec db-0 -- df -i" in judged.commands


def test_used_bytes_are_not_capacity_less_available():
    # ext4 keeps 5 % for root: nothing can be written any more, though `used` says 95 %.
    reserved = measured(available=0, used=9.5 * GI)

    assert ["used 100% (0B left of 10.7GB)"] == used(*mounted(), series=[reserved], limit="99%").observed


def test_of_a_claim_on_many_nodes_the_worst_counts():
    roomy, full = measured(node="node-1"), measured(node="node-2", available=0.1 * GI)

    for order in ([roomy, full], [full, roomy]):
        judged = used(a_claim(access=["ReadWriteMany"]), a_pod("data-db-0"), series=order)
        assert "used 99% (107MB left of 10.7GB)" == judged.only().observed


def test_replicas_of_prometheus_are_one_finding():
    replicas = [measured(prometheus_replica=name, available=0.1 * GI) for name in ("a", "b")]

    assert 1 == len(used(*mounted(), series=replicas).observed)


def test_the_fullest_and_all_that_are_too_full_are_told():
    objects = [one for name in ("a", "b", "c") for one in (a_claim(name), a_pod(name, name=f"pod-{name}"))]
    series = [measured(name="a"), measured(name="b", available=0.5 * GI), measured(name="c", available=0.2 * GI)]
    judged = used(*objects, series=series)

    assert ["c", "b"] == [violation.subject for violation in judged.findings.violations]


# What there is nothing to judge of


def test_an_unmounted_claim_has_no_numbers_and_is_said_to_be_so():
    judged = used(*mounted(), a_claim("backup"), series=[measured()])

    assert [] == judged.observed
    assert 1 == judged.measurements["volumes that are not mounted"]


@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed"])
def test_a_pod_that_does_not_run_has_nothing_mounted(phase):
    assert [] == used(a_claim(), a_pod("data-db-0", phase=phase)).observed


def test_mixin_647_a_block_device_has_no_numbers():
    judged = used(*mounted(mode="Block"))

    assert [] == judged.observed
    assert 1 == judged.measurements["volumes that are block devices"]


def test_mixin_668_a_volume_that_is_only_read_cannot_fill():
    full = measured(available=0, used=10 * GI)

    assert [] == used(*mounted(access=["ReadOnlyMany"]), series=[full]).observed
    assert [] == used(a_claim(), a_pod("data-db-0", read_only=True), series=[full]).observed


def test_a_volume_that_may_also_be_written_is_judged():
    full = measured(available=0, used=10 * GI)

    assert 1 == len(used(*mounted(access=["ReadWriteOnce", "ReadOnlyMany"]), series=[full]).observed)
    assert 1 == len(
        used(a_claim(), a_pod("data-db-0", read_only=True), a_pod("data-db-0", name="w"), series=[full]).observed
    )


def test_mixin_a_volume_of_which_nothing_is_used_is_no_alarm():
    silent = measured(name="odd", available=0, used=0)
    judged = used(*mounted(), a_claim("odd"), a_pod("odd", name="odd-0"), series=[measured(), silent])

    assert [] == judged.observed
    assert 1 == judged.measurements["volumes not measured yet"]


def test_numbers_that_say_nothing_are_unknown_when_they_are_all_there_are():
    assert used(*mounted(), series=[measured(available=0, used=0)]).unknown.startswith("no usage yet")


def test_a_file_system_that_makes_inodes_as_it_needs_them_cannot_run_out():
    btrfs = measured(inodes=0, inodes_free=0, inodes_used=0)
    judged = used(*mounted(), series=[btrfs], used=None, inodes={"P1": "90%"})

    assert [] == judged.observed
    assert 1 == judged.measurements["volumes that are without inodes"]


def test_ksm_2516_shared_file_system_is_reported_as_larger_than_claim():
    shared = measured(capacity=1000 * GI, available=1 * GI, used=999 * GI)
    judged = used(*mounted(), series=[shared])

    assert (
        "the file system is larger than the requested 10Gi: other clients may fill it too",
    ) == judged.only().evidence
    assert not any("patch pvc" in command for command in judged.commands)


def test_a_pending_claim_is_told_as_that_and_not_as_unknown():
    judged = used(a_claim(phase="Pending", created=ago(hours=1), storage_class="fast"), a_pod("data-db-0"))

    assert 1 == len(judged.observed)


# What should be known and is not


def test_a_mounted_claim_without_numbers_is_unknown():
    judged = used(*mounted(), a_claim("b"), a_pod("b", name="b-0"), series=[measured()])

    assert "usage unknown: b (mounted by b-0 on node-1, no measurement in the last 10m)" == judged.unknown
    assert "exported_namespace" not in judged.advice
    assert "the label namespace" in judged.advice


def test_a_full_volume_is_found_beside_one_that_is_unknown():
    judged = used(*mounted(), a_claim("b"), a_pod("b", name="b-0"), series=[measured(available=0)])

    assert judged.unknown
    assert "data-db-0" == judged.only().subject


def test_no_series_at_all_is_unknown():
    assert used(*mounted()).unknown


def test_a_volume_that_was_mounted_just_now_has_no_numbers_yet():
    young = a_pod("b", name="b-0", created=ago(minutes=4))
    judged = used(*mounted(), a_claim("b"), young, series=[measured()])

    assert [] == judged.observed
    assert 1 == judged.measurements["volumes not measured yet"]


def test_nothing_but_young_volumes_is_unknown():
    young = a_pod("data-db-0", created=ago(minutes=4))

    assert "no usage yet: data-db-0 (mounted just now)" == used(a_claim(), young).unknown


@pytest.mark.parametrize("gap", [{"capacity": None}, {"available": None}])
def test_half_the_numbers_are_none(gap):
    assert "data-db-0 (no capacity reported)" in used(*mounted(), series=[measured(**gap)]).unknown


def test_a_capacity_of_nothing_is_unknown():
    assert "capacity of 0 reported" in used(*mounted(), series=[measured(capacity=0)]).unknown


def test_a_driver_that_does_not_count_inodes_leaves_them_unknown():
    silent = measured(inodes=None, inodes_free=None, inodes_used=None)

    assert "no inodes reported" not in used(*mounted(), series=[silent]).unknown
    assert "no inodes reported" in used(*mounted(), series=[silent], inodes={"P1": "90%"}).unknown


def test_two_clusters_with_the_same_claim_are_not_mixed():
    both = [measured(cluster="prod"), measured(cluster="staging", available=0)]
    judged = used(*mounted(), series=both)

    assert "clusters prod, staging have this claim; name one in `prometheus_labels`" in judged.unknown
    assert [] == judged.findings.violations


def test_a_claim_of_another_namespace_is_another_one():
    assert used(*mounted(), series=[measured(namespace="other", available=0)]).unknown


def test_a_namespace_label_of_ones_own_is_read():
    labels = {"namespace": "monitoring", "exported_namespace": "default"}
    judged = used(*mounted(), series=[measured(**labels)], prometheus_namespace_label="exported_namespace")

    assert [] == judged.observed


# The kubelets' own numbers


def test_the_kubelets_numbers_are_judged_alike():
    judged = proxied(*mounted(), volumes=[kubelet(available=0.2 * GI)])

    assert ["used 98% (215MB left of 10.7GB)"] == judged.observed
    assert Severity.P1 == judged.only().severity


def test_a_kubelet_that_does_not_answer_leaves_its_volumes_unknown():
    judged = proxied(*mounted(), unread={"node-1": "503: dial tcp 10.0.0.11:10250: connection refused"})

    assert (
        "usage unknown: data-db-0 (mounted by db-0 on node-1, 503: dial tcp 10.0.0.11:10250: "
        "connection refused)" == judged.unknown
    )


@pytest.mark.parametrize(("age", "known"), [({"minutes": 10}, True), ({"minutes": 10, "seconds": 1}, False)])
def test_old_numbers_are_none(age, known):
    judged = proxied(*mounted(), volumes=[kubelet(available=5 * GI, at=ago(**age))])

    assert known == (judged.unknown == "")
    assert known or "measurements are 10m1s old" in judged.unknown


def test_a_claim_may_be_expanded_only_when_its_class_is_known():
    full = [kubelet(available=0.0)]

    assert any("patch pvc" in one for one in proxied(*mounted(), volumes=full, classes=[storage_class()]).commands)
    assert not any("patch pvc" in one for one in proxied(*mounted(), volumes=full, classes=[]).commands)


@given(
    st.lists(
        st.builds(
            VolumeUsage,
            namespace=st.just("default"),
            claim=st.sampled_from(["data-db-0", "b"]),
            at=st.none() | st.sampled_from([ago(seconds=1), ago(days=1)]),
            available=st.none() | st.floats(-1, 1e18),
            capacity=st.none() | st.floats(-1, 1e18),
            used=st.none() | st.floats(-1, 1e18),
        ),
        max_size=4,
    ).flatmap(lambda volumes: st.tuples(st.just(volumes), st.permutations(volumes)))
)
def test_whatever_was_measured_nothing_raises_and_its_order_never_counts(orders):
    one, other = (proxied(*mounted(), a_claim("b"), volumes=volumes) for volumes in orders)

    assert (one.unknown, one.findings.violations) == (other.unknown, other.findings.violations)
