"""The resources of the server: groups, versions, plurals and kinds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Resource:
    """One kind of object and where the API serves it."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """As objects spell it: `v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def custom(self) -> bool:
        """True for a custom resource: its group is a domain outside of k8s.io."""
        return "." in self.group and not self.group.endswith(".k8s.io")


def _group(group: str, version: str, namespaced: str, cluster: str = "") -> tuple[Resource, ...]:
    pairs = [(pair, True) for pair in namespaced.split()] + [(pair, False) for pair in cluster.split()]
    split = [(*pair.partition("="), inside) for pair, inside in pairs]
    return tuple(Resource(group, version, plural, kind, inside) for plural, _, kind, inside in split)


BUILT_IN: tuple[Resource, ...] = (
    *_group(
        "",
        "v1",
        "pods=Pod services=Service events=Event configmaps=ConfigMap secrets=Secret endpoints=Endpoints"
        " persistentvolumeclaims=PersistentVolumeClaim resourcequotas=ResourceQuota"
        " serviceaccounts=ServiceAccount limitranges=LimitRange",
        "nodes=Node namespaces=Namespace persistentvolumes=PersistentVolume",
    ),
    *_group(
        "apps",
        "v1",
        "deployments=Deployment replicasets=ReplicaSet statefulsets=StatefulSet daemonsets=DaemonSet",
    ),
    *_group("batch", "v1", "jobs=Job cronjobs=CronJob"),
    *_group("autoscaling", "v2", "horizontalpodautoscalers=HorizontalPodAutoscaler"),
    *_group("policy", "v1", "poddisruptionbudgets=PodDisruptionBudget"),
    *_group("networking.k8s.io", "v1", "ingresses=Ingress", "ingressclasses=IngressClass"),
    *_group("discovery.k8s.io", "v1", "endpointslices=EndpointSlice"),
    *_group("storage.k8s.io", "v1", "", "storageclasses=StorageClass"),
    *_group("metrics.k8s.io", "v1beta1", "pods=PodMetrics", "nodes=NodeMetrics"),
)

CERT_MANAGER: tuple[Resource, ...] = (
    *_group(
        "cert-manager.io",
        "v1",
        "certificates=Certificate certificaterequests=CertificateRequest issuers=Issuer",
        "clusterissuers=ClusterIssuer",
    ),
    *_group("acme.cert-manager.io", "v1", "orders=Order challenges=Challenge"),
)

VELERO: tuple[Resource, ...] = _group(
    "velero.io", "v1", "backups=Backup schedules=Schedule backupstoragelocations=BackupStorageLocation"
)

CUSTOM: tuple[Resource, ...] = (*CERT_MANAGER, *VELERO)
"""Custom resources, which a cluster serves where their definitions are installed."""

# A POST returns the identity of the caller; no object is stored.
SELF_SUBJECT_REVIEW = Resource(
    "authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", namespaced=False
)
