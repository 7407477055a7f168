"""Claims in any state an API server may write down: nothing raises, order never counts, half a claim is no alarm."""

from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from checks.kubernetes.test_volumes import claim_finding, depends_on_its_class
from opscheck import Findings, KubernetesTarget
from opscheck.systems.kubernetes.pods import Pod
from opscheck.systems.kubernetes.volumes import (
    PersistentVolumeClaim,
    Storage,
    StorageClass,
    VolumesHealthy,
    users_of_claims,
)
from opscheck.testing import expect

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TIMES = st.sampled_from([None, "2026-03-01T11:59:00Z", "2026-02-01T12:00:00Z", "2026-04-01T12:00:00Z"])
EXPECTATION = expect(VolumesHealthy, KubernetesTarget(kind="kubernetes"), severity="P1")
NAMES = st.sampled_from([None, "", "a", "b"])


def objects(**fields):
    """Objects with any of these fields, missing or null included."""
    return st.fixed_dictionaries({}, optional={name: st.none() | value for name, value in fields.items()})


METADATA = objects(
    name=NAMES, namespace=NAMES, creationTimestamp=TIMES, deletionTimestamp=TIMES, finalizers=st.just(["x/y"])
)
CONDITION = objects(
    type=st.sampled_from(["Resizing", "FileSystemResizePending", "NodeResizeError", "Whatever", "PodScheduled"]),
    status=st.sampled_from(["True", "False", "Unknown", "odd"]),
    message=st.text(max_size=5),
    lastTransitionTime=TIMES,
)
CONDITIONS = st.lists(CONDITION, max_size=2)
CLAIM = objects(
    metadata=METADATA,
    spec=objects(storageClassName=NAMES, volumeName=NAMES, accessModes=st.just(["ReadWriteOnce"])),
    status=objects(phase=st.sampled_from(["Pending", "Bound", "Lost", "Odd"]), conditions=CONDITIONS),
)
VOLUME = objects(name=NAMES, persistentVolumeClaim=objects(claimName=NAMES), ephemeral=objects())
POD = objects(
    metadata=METADATA,
    spec=objects(nodeName=NAMES, volumes=st.lists(VOLUME, max_size=2)),
    status=objects(phase=st.sampled_from(["Pending", "Running", "Failed", "Odd"]), conditions=CONDITIONS),
)
CLASS = objects(metadata=METADATA, volumeBindingMode=st.sampled_from(["Immediate", "WaitForFirstConsumer", "Odd"]))


def storage(pods, classes=()):
    users = users_of_claims(msgspec.convert(one, Pod) for one in pods)
    known = None if classes is None else [msgspec.convert(one, StorageClass) for one in classes]
    by_name = None if known is None else {one.name: one for one in known}
    return Storage(users, by_name, NOW, timedelta(minutes=15).total_seconds())


@given(CLAIM, st.lists(POD, max_size=3), st.none() | st.lists(CLASS, max_size=2))
def test_no_claim_raises(claim, pods, classes):
    made, beside = msgspec.convert(claim, PersistentVolumeClaim), storage(pods, classes)

    finding = claim_finding(EXPECTATION, made, beside, Findings(EXPECTATION))

    # What only the class can say is left to it: never both.
    assert finding is None or not depends_on_its_class(made, beside)


@given(
    CLAIM,
    st.lists(POD, max_size=3, unique_by=str).flatmap(lambda pods: st.tuples(st.just(pods), st.permutations(pods))),
)
def test_the_order_of_pods_never_counts(claim, orders):
    made = msgspec.convert(claim, PersistentVolumeClaim)
    names = [
        ((pod.get("metadata") or {}).get("name"), (pod.get("metadata") or {}).get("namespace")) for pod in orders[0]
    ]
    if len(set(names)) == len(names):  # as in a cluster
        one, other = (claim_finding(EXPECTATION, made, storage(order), Findings(EXPECTATION)) for order in orders)
        assert one == other


@given(objects(metadata=METADATA.map(lambda one: one | {"deletionTimestamp": None})))
def test_a_claim_without_a_status_is_no_alarm(claim):
    made = msgspec.convert(claim, PersistentVolumeClaim)

    assert claim_finding(EXPECTATION, made, storage([]), Findings(EXPECTATION)) is None
