"""Remedies of kubectl commands, those that several checks bring, and the facts that they name."""

from opscheck.core.remedy import Former, Remedy


def kubectl(summary: str, *commands: str) -> Remedy:
    """A remedy of kubectl commands, each in the context that the policy pins and in the namespace of the finding."""
    return Remedy(summary, *(f"kubectl {{{{ context_option }}}} -n {{{{ namespace }}}} {one}" for one in commands))


def missing_remedy(kinds: str) -> Remedy:
    """The remedy where too few objects of these kinds are selected, as `count_matches` brings it."""
    return Remedy(
        "Compare the labels of what is there with the selector; correct it, or create what is missing",
        f"kubectl {{{{ context_option }}}} {{{{ namespace_option }}}} get {kinds} --show-labels"
        "  # what should match {{ missing }}?",
    )


POD_FACTS = {
    "pod": "the pod's name",
    "container": "the container that is to blame",
    "owner": "what controls the pod, such as deployment/api",
    "node": "the node the pod is on",
}
GROUP_FACTS = {
    "pod": "one of the pods",
    "owner": "what controls them, such as deployment/api",
    "container": "the first container that is to blame",
}

MISSING_PODS = missing_remedy("deployments,statefulsets,daemonsets,pods")

POD_REPORT = kubectl("See what the pod reports, and fix that", "describe pod {{ pod }}")
POD_CRASHED = kubectl(
    "See how the container ended, and fix the cause",
    "describe pod {{ pod }}",
    "logs {{ pod }} -c {{ container }} --previous --tail=100",
)
POD_UNREADY = kubectl(
    "See what keeps the pod from being ready", "describe pod {{ pod }}", "logs {{ pod }} --all-containers --tail=100"
)
POD_UNSCHEDULED = kubectl(
    "Make room on a node, or let the pod run on other nodes",
    "describe pod {{ pod }}",
    "describe nodes | grep -A 8 'Allocated resources'  # is there room for {{ pod }}?",
)
NODE_LOST = kubectl("See why the node does not report", "describe pod {{ pod }}", "describe node {{ node }}")
POD_STUCK = kubectl(
    "See what keeps the pod from being deleted",
    "describe pod {{ pod }}",
    "get pod {{ pod }} -o jsonpath='{.metadata.finalizers}'",
)
POD_REMEDIES = (POD_REPORT, POD_CRASHED, POD_UNREADY, POD_UNSCHEDULED, POD_STUCK, NODE_LOST)
"""Those of the faults of a pod, whatever controls it."""
ROLL_BACK = kubectl(
    "Roll back, if the rollout is the cause",
    "rollout history {{ owner }}",
    "rollout undo {{ owner }}  # if it began with the last rollout",
)
RESTART = kubectl("Restart the workload", "rollout restart {{ owner }}")
FORMER_POD_FACTS = {
    "crashed": Former("pod", POD_CRASHED),
    "unready": Former("pod", POD_UNREADY),
    "unscheduled": Former("pod", POD_UNSCHEDULED),
    "stuck": Former("pod", POD_STUCK),
    "lost_node": Former("node", NODE_LOST),
    "failed_rollout": Former("owner", ROLL_BACK),
    "unready_rollout": Former("owner", RESTART),
}
