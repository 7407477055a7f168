"""
List pods with the official client's typed models: `python typed_pods.py KUBECONFIG NAMESPACE [LIMIT]`.

In pages of 500, if no other limit is given; 0 is all at once.
"""

import json
import sys

from kubernetes import client, config


def main(kubeconfig: str, namespace: str, limit: str = "500") -> None:
    """Print how many pods there are, and how many of them are ready."""
    config.load_kube_config(kubeconfig)
    core, page = client.CoreV1Api(), None
    found = ready = 0
    while True:
        pods = core.list_namespaced_pod(namespace, limit=int(limit), _continue=page)
        found += len(pods.items)
        ready += sum(_is_ready(pod) for pod in pods.items)
        page = pods.metadata._continue  # noqa: SLF001 - the client's own name for a field called `continue`
        if not page:
            break
    print(json.dumps({"pods": found, "ready": ready}))


def _is_ready(pod: client.V1Pod) -> bool:
    return any(condition.type == "Ready" and condition.status == "True" for condition in pod.status.conditions)


if __name__ == "__main__":
    main(*sys.argv[1:])
