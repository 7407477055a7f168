"""Kubernetes targets."""

from collections.abc import Mapping
from typing import Annotated

from opscheck.core.addresses import FilePath, url_with
from opscheck.core.remedy import Fact
from opscheck.core.target import Target


class KubernetesTarget(Target, kind="kubernetes"):
    """A Kubernetes cluster, reached as kubectl reaches it: kubeconfig, or the pod's own service account."""

    namespace: str = "default"
    """The namespace of expectations that name none."""
    context: str | None = None
    """The kubeconfig context; the current one by default."""
    server: (
        Annotated[str, url_with("https", "http", example="https://prod:6443", also=lambda url: "://" not in url)] | None
    ) = None
    """The required API server of that context, such as https://prod.example.com:6443; any other is refused."""
    kubeconfig: Annotated[str, FilePath] | None = None
    """The kubeconfig file; $KUBECONFIG or ~/.kube/config by default, else the pod's service account."""

    @property
    def address(self) -> str:
        """Context and namespace."""
        return f"{self.context or 'current context'}, namespace {self.namespace}"

    def facts(self) -> Mapping[str, Fact]:
        """Its `namespace`, and the `context` where the policy names one, also as the option of kubectl."""
        if self.context is None:
            return {"namespace": self.namespace, "context_option": ()}
        return {"namespace": self.namespace, "context": self.context, "context_option": ("--context", self.context)}
