"""kubernetes.rollout: what a finding explains, and what explains a finding."""

from opscheck.demo.kubernetes import pod
from opscheck.systems.kubernetes.rollout import RolloutComplete
from tests.checks.kubernetes.judging_pods import ago
from tests.checks.kubernetes.judging_rollouts import agent, commands, crashing, db, its_pod, judged, web, web_pods

SHORT = {"available": 2, "max_unavailable": 1}
LOST = "web-7d4b9c6f5d-9"


def marked(name=LOST, node="worker-3", **fields):
    """A pod whose node stopped reporting: the node controller took its readiness, the containers' report is old."""
    found = its_pod(name, node=node, **fields)
    for one in found["status"]["conditions"]:
        if one["type"] == "Ready":
            one |= {"status": "False", "lastTransitionTime": "2026-03-01T11:20:00Z"}
    return found


def because(*objects):
    (violation,) = judged(*objects).violations
    return violation.because


def test_a_workload_explains_what_others_find_about_its_pods():
    (violation,) = judged(web(**SHORT), *web_pods(2), crashing(LOST)).violations

    assert RolloutComplete.explains_others
    assert "target/default/deployment/web" == violation.about
    assert () == violation.because


def test_mixin_a_node_that_is_not_ready_explains_a_daemon_that_is_unavailable():
    there = [its_pod(f"agent-{node}", node=node) for node in ("worker-1", "worker-2")]

    assert ("target/node/worker-3",) == because(agent(available=2), *there, marked("agent-worker-3"))


def test_a_lost_node_explains_the_pod_that_its_daemon_set_calls_misplaced():
    # Seen on Kubernetes 1.36: the taint unreachable:NoSchedule makes the node one that the daemon set does not mean.
    there = [its_pod(f"agent-{node}", node=node) for node in ("worker-1", "worker-2")]
    astray = agent(desired=2, misscheduled=1)

    assert ("target/node/worker-3",) == because(astray, *there, marked("agent-worker-3"))
    assert () == because(agent(desired=2, misscheduled=2), *there, marked("agent-worker-3"))
    assert () == because(astray, *there, its_pod("agent-worker-3", node="worker-3"))
    assert "kubectl -n default describe node worker-3" in commands(astray, *there, marked("agent-worker-3"))


def test_the_node_is_described_where_it_is_to_blame():
    found = commands(web(**SHORT), *web_pods(2), marked())

    assert "kubectl -n default describe node worker-3" in found
    assert not [command for command in found if "restart" in command or "undo" in command]


def test_two_lost_nodes_explain_together():
    both = [marked(), marked("web-7d4b9c6f5d-8", "worker-2")]

    assert ("target/node/worker-2", "target/node/worker-3") == because(
        web(available=1, max_unavailable=2), *web_pods(1), *both
    )


def test_a_node_explains_nothing_while_one_pod_has_a_reason_of_its_own():
    half = web(available=1, max_unavailable=2)

    assert () == because(half, *web_pods(1), marked(), crashing("web-7d4b9c6f5d-8"))
    unready = its_pod("web-7d4b9c6f5d-8", ready=False, since=ago(hours=1), node="worker-2")
    assert () == because(half, *web_pods(1), marked(), unready)


def test_a_node_explains_nothing_while_a_pod_is_missing_that_no_node_has():
    assert () == because(web(available=1, max_unavailable=2), *web_pods(1), marked())
    nowhere = its_pod("web-7d4b9c6f5d-8", phase="Pending", node=None, created=ago(hours=1))
    assert () == because(web(available=1, max_unavailable=2), *web_pods(1), marked(), nowhere)


def test_a_node_on_which_nothing_is_ready_is_to_blame():
    unready = its_pod(LOST, ready=False, since=ago(hours=1), node="worker-3")
    other = pod("other-1", node="worker-3", ready=False, created=ago(days=2), since=ago(hours=1))
    well = pod("other-2", node="worker-3", created=ago(days=2))

    assert () == because(web(**SHORT), *web_pods(2), unready)
    assert ("target/node/worker-3",) == because(web(**SHORT), *web_pods(2), unready, other)
    assert () == because(web(**SHORT), *web_pods(2), unready, other, well)


def test_k8s_72226_a_pod_that_cannot_go_because_its_node_is_lost_names_the_node():
    held = marked("db-2", deleted=ago(minutes=30))
    pods = [its_pod("db-0"), its_pod("db-1")]

    assert ("target/node/worker-3",) == because(db(available=2, since=ago(minutes=40)), *pods, held)


def test_a_change_that_waits_is_no_nodes_fault():
    waits = web(paused=True, progress="DeploymentPaused", updated=0, old=3, available=2, max_unavailable=1)

    assert () == because(waits, *web_pods(2), marked())


def test_a_readiness_gate_that_does_not_open_is_no_nodes_fault():
    gated = marked()
    for one in gated["status"]["conditions"]:
        if one["type"] == "Ready":
            one["reason"] = "ReadinessGatesNotReady"

    assert () == because(web(**SHORT), *web_pods(2), gated)
