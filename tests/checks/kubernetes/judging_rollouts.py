"""Workloads and their pods as a cluster reports them at one moment, and what kubernetes.rollout says of them then."""

import msgspec

from checks.kubernetes import test_rollout
from opscheck import Findings
from opscheck.demo.kubernetes import daemon_set, deployment, pod, stateful_set
from opscheck.systems.kubernetes.lists import ObjectList
from opscheck.systems.kubernetes.rollout import RolloutComplete
from opscheck.testing import expect, judge
from tests.checks.kubernetes.judging_pods import TARGET, ago
from tests.checks.kubernetes.rendering import rendered

AGE = {"created": ago(days=30), "since": ago(days=3), "edited": ago(days=3)}
OWNERS = {"web": "ReplicaSet/web-7d4b9c6f5d", "db": "StatefulSet/db", "agent": "DaemonSet/agent"}


def web(**fields):
    return deployment("web", **AGE | fields)


def db(**fields):
    return stateful_set("db", **AGE | fields)


def agent(**fields):
    return daemon_set("agent", **AGE | fields)


def its_pod(name, **fields):
    """A pod of the workload that its name begins with; ready for long."""
    owner = name.partition("-")[0]
    return pod(name, **{"created": ago(days=2), "labels": {"app": owner}, "owner": OWNERS[owner]} | fields)


def web_pods(count, **fields):
    return [its_pod(f"web-7d4b9c6f5d-{number}", **fields) for number in range(count)]


def never_ready(name, since, **fields):
    """A pod that was made and has not become ready."""
    return its_pod(name, **{"ready": False, "created": since, "since": since} | fields)


def crashing(name, since=None, **fields):
    since = since or ago(minutes=40)
    loop = {"waiting": "CrashLoopBackOff", "restarts": 7, "terminated": ago(minutes=3)}
    return its_pod(name, **{"created": since, "since": since} | loop | fields)


def well():
    return [
        *(web(), db(), agent()),
        *web_pods(3),
        *(its_pod(f"db-{number}") for number in range(3)),
        *(its_pod(f"agent-{number}", node=f"node-{number}") for number in range(3)),
    ]


def failed(**fields):
    """One new pod was made and crashes; the three old ones serve."""
    return web(**{"updated": 1, "old": 3, "progress": "ProgressDeadlineExceeded", "since": ago(minutes=20)} | fields)


def of_new_version(**fields):
    return crashing("web-7d4b9c6f5d-new", **fields)


def judged(*objects, target=TARGET, **fields) -> Findings:
    expectation = expect(RolloutComplete, target, **{"severity": "P0"} | fields)
    return judge(test_rollout.test_rollouts_are_complete, expectation, answers(expectation, objects), ago())


def answers(expectation, objects):
    chosen = {query: [] for query in expectation.queries()}
    for query, found in chosen.items():
        found += [msgspec.convert(one, query.item) for one in objects if one["kind"] == query.item.__name__]
    return {query: ObjectList(tuple(found)) for query, found in chosen.items()}


def observed(*objects, **fields) -> list[str]:
    return [violation.observed for violation in judged(*objects, **fields).violations]


def commands(*objects, target=TARGET, **fields) -> list[str]:
    expectation = expect(RolloutComplete, target, severity="P0", **fields)
    return rendered(expectation, judged(*objects, target=target, **fields))
