"""Nodes as a cluster reports them at one moment, and what kubernetes.nodes says of them then."""

from datetime import UTC, datetime, timedelta

import msgspec

from checks.kubernetes import test_nodes
from opscheck import Findings, KubernetesTarget
from opscheck.demo.kubernetes import node, pod
from opscheck.systems.kubernetes.api_server import ReadVersion, ServerVersion
from opscheck.systems.kubernetes.lists import ObjectList
from opscheck.systems.kubernetes.nodes import ListNodes, Node, NodesHealthy
from opscheck.systems.kubernetes.pods import ListPods, Pod
from opscheck.testing import expect, judge
from tests.checks.kubernetes.rendering import rendered

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TARGET = KubernetesTarget(kind="kubernetes", namespace="default")
SECOND = timedelta(seconds=1)


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def a_node(name="node-1", **fields):
    return node(name, **{"created": ago(days=90)} | fields)


def a_pod(name="web-1", **fields):
    return pod(name, **{"created": ago(days=2)} | fields)


def expected(target=TARGET, **fields) -> NodesHealthy:
    return expect(NodesHealthy, target, **{"severity": "P1"} | fields)


def judged(*nodes, pods=(), server="v1.34.1", target=TARGET, limits=None, **fields) -> Findings:
    """`pods` are objects; a limit of that name is one of `limits`."""
    answers = {
        ListNodes("target"): ObjectList(tuple(msgspec.convert(one, Node) for one in nodes)),
        ListPods("target", None): ObjectList(tuple(msgspec.convert(one, Pod) for one in pods)),
        ReadVersion("target"): ServerVersion(git_version=server),
    }
    return judge(test_nodes.test_the_nodes_are_well, expected(target, **fields, **(limits or {})), answers, NOW)


def observed(*nodes, **fields) -> list[str]:
    return [violation.observed for violation in judged(*nodes, **fields).violations]


def commands(*nodes, target=TARGET, **fields) -> list[str]:
    expectation = expected(target, **{name: value for name, value in fields.items() if name not in {"pods", "server"}})
    return rendered(expectation, judged(*nodes, target=target, **fields))
