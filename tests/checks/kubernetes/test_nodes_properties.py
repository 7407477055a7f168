"""Judging nodes: whatever an object lacks, nothing is raised, and no order matters."""

from datetime import timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.kubernetes.test_nodes import room, state_findings, version_findings
from opscheck import Findings
from opscheck.demo.kubernetes import timestamp
from opscheck.systems.kubernetes.nodes import Node
from tests.checks.kubernetes.judging_nodes import NOW, expected

EXPECTATION = expected(conditions={"KernelDeadlock": "False"}, pods={"P3": "90%"}, cpu_requests={"P3": "90%"})
KNOWN = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable", "KernelDeadlock"]

TIMES = st.none() | st.integers(-90000, 90000).map(lambda seconds: timestamp(NOW - timedelta(seconds=seconds)))


def conditions(types):
    return st.fixed_dictionaries(
        {
            "type": st.none() | st.sampled_from(types),
            "status": st.sampled_from([None, "", "True", "False", "Unknown", "Odd"]),
            "lastTransitionTime": TIMES,
        }
    )


TAINTS = st.fixed_dictionaries(
    {
        "key": st.sampled_from(
            [None, "node.kubernetes.io/unschedulable", "node.kubernetes.io/unreachable", "karpenter.sh/disrupted"]
        ),
        "timeAdded": TIMES,
    }
)
QUANTITIES = st.none() | st.dictionaries(
    st.sampled_from(["cpu", "pods"]), st.sampled_from(["4", "0", "110", "lots", ""]), max_size=2
)
NODES = st.fixed_dictionaries(
    {
        "metadata": st.none()
        | st.fixed_dictionaries(
            {
                "name": st.sampled_from([None, "node-1", "node-2"]),
                "creationTimestamp": TIMES,
                "deletionTimestamp": TIMES,
            }
        ),
        "spec": st.none()
        | st.fixed_dictionaries(
            {"unschedulable": st.sampled_from([None, True, False]), "taints": st.none() | st.lists(TAINTS, max_size=3)}
        ),
        "status": st.none()
        | st.fixed_dictionaries(
            {
                "conditions": st.none() | st.lists(conditions(KNOWN), max_size=4),
                "allocatable": QUANTITIES,
                "nodeInfo": st.none()
                | st.fixed_dictionaries({"kubeletVersion": st.sampled_from([None, "", "v1.20.1", "v1.40.0", "odd"])}),
            }
        ),
    }
)


def told(node) -> list[tuple]:
    one = msgspec.convert(node, Node)
    versions = version_findings(EXPECTATION, [one], (1, 34), "v1.34.1")
    states = state_findings(EXPECTATION, [one], {}, NOW, Findings(EXPECTATION))
    found = [(each.subject, each.observed, each.since) for each in (*states, *versions)]
    room(EXPECTATION, [one], {})
    return sorted(found, key=str)


@given(NODES)
@settings(deadline=None)
def test_a_node_with_anything_missing_is_judged_without_an_error(node):
    told(node)


@given(NODES, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_conditions_and_taints_never_matters(node, random):
    # Of two conditions of one type the first counts; an API server keeps no two.
    status, spec = node["status"] or {}, node["spec"] or {}
    if status.get("conditions"):
        status["conditions"] = list({one["type"]: one for one in status["conditions"]}.values())
    before = told(node)
    for part, name in ((status, "conditions"), (spec, "taints")):
        if part.get(name):
            random.shuffle(part[name])

    assert before == told(node)


@given(NODES, st.lists(conditions(["EtcdIsVoter", "StorageReady", "Unheard"]), max_size=3))
@settings(deadline=None)
def test_conditions_that_nobody_named_never_alarm(node, more):
    before = told(node)
    if node["status"] is None:
        return
    node["status"]["conditions"] = [*(node["status"]["conditions"] or ()), *more]

    assert before == told(node)
