"""Lists of objects: one request per kind and namespace, for every selector."""

from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar, get_args

import msgspec

from opscheck.core.query import Permission, Query

T = TypeVar("T")


@dataclass(frozen=True)
class KubernetesRule(Permission):
    """One verb on one resource, as RBAC grants it. Without `namespace` it covers the whole cluster."""

    api_group: str
    resource: str
    verb: str
    namespace: str | None = None

    @property
    def risk(self) -> str:
        """Other operations that it allows, where they are dangerous."""
        return _RISKS.get((self.api_group, self.resource), "")

    def text(self) -> str:
        """For people: `list pods.metrics.k8s.io in namespace shop`."""
        resource = f"{self.resource}.{self.api_group}" if self.api_group else self.resource
        return f"{self.verb} {resource} {f'in namespace {self.namespace}' if self.namespace else 'in the cluster'}"


# The kubelet treats the GET that opens a websocket as a read, so `get` is enough to run commands
# (kubernetes/autoscaler#9140).
_RISKS = {
    ("", "nodes/proxy"): "it allows to run commands in every pod of the cluster, even with `get` alone",
    ("", "secrets"): "it allows to read every secret there, with keys and passwords; opscheck stores none of them",
}


class ObjectList(msgspec.Struct, Generic[T], frozen=True):
    """Every object that was requested."""

    items: tuple[T, ...] = ()


@dataclass(frozen=True)
class ListObjects(Query[ObjectList[T]], Generic[T]):
    """
    Every object of a kind in a namespace; in the cluster where `namespace` is None.

    Subclass it per kind with `resource="jobs.v1.batch"`: plural, version and group, in kubectl's form (`pods` is in
    the core's v1). A subclass adds no field, so it needs no `@dataclass`.

    It has no selector on purpose: checks select from the answer, so any number of them share one request.
    """

    namespace: str | None = None

    group: ClassVar[str] = ""
    version: ClassVar[str] = "v1"
    plural: ClassVar[str] = ""
    item: ClassVar[Any] = None
    """The struct that each object is decoded into."""
    namespaced: ClassVar[bool] = True
    called: ClassVar[str] = ""
    """Their name in messages; the plural by default."""
    field_selector: ClassVar[str] = ""
    """The server's field selector, such as `type=Warning`; all by default."""
    only_metadata: ClassVar[bool] = False
    """Request only the metadata, never the content."""

    def __init_subclass__(cls, name: str = "", *, resource: str = "", **options: Any) -> None:
        super().__init_subclass__(name, **options)
        if not name:
            return
        cls.plural, version, cls.group = (*resource.split(".", 2), "", "")[:3]
        cls.version, cls.called = version or "v1", cls.called or cls.plural
        cls.item = get_args(cls.__orig_bases__[0])[0]  # type: ignore[attr-defined]  # every generic has it
        cls.answer = ObjectList[cls.item]  # type: ignore[name-defined]  # the type is a value here

    @property
    def scope(self) -> str | None:
        """The namespace."""
        return self.namespace

    @property
    def rule(self) -> KubernetesRule:
        """The required rule."""
        return KubernetesRule(self.group, self.plural, "list", self.namespace)

    def permissions(self) -> tuple[Permission, ...]:
        """List them there."""
        return (self.rule,)

    def text(self) -> str:
        """For people: `list pods in namespace shop`."""
        everywhere = "" if not self.namespaced else " in every namespace"
        return f"list {self.called}{f' in namespace {self.namespace}' if self.namespace else everywhere}"
