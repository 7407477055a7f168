"""A first policy for one namespace of a cluster: expectations of kinds of objects, never of single pods."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

from opscheck.core.discovery import (
    Cluster,
    Discovery,
    DiscoveryInput,
    Look,
    Proposal,
    ProposedTarget,
    Value,
    not_read,
    slug,
)
from opscheck.core.findings import Observe
from opscheck.core.observation import CouldNotObserve, ProblemKind
from opscheck.core.units import Severity
from opscheck.core.words import counted, some
from opscheck.systems.kubernetes.api_server import Context, ReadContext
from opscheck.systems.kubernetes.autoscaling import ListAutoscalers
from opscheck.systems.kubernetes.batch import CronJob, ListCronJobs
from opscheck.systems.kubernetes.certificates import ListCertificates
from opscheck.systems.kubernetes.disruption import ListDisruptionBudgets
from opscheck.systems.kubernetes.endpoints import Network
from opscheck.systems.kubernetes.ingress_hosts import hosts_of, patterns_of, propose
from opscheck.systems.kubernetes.ingresses import ListIngresses
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.objects import KubernetesObject
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.quotas import ListQuotas
from opscheck.systems.kubernetes.services import ListEndpointSlices, ListServices
from opscheck.systems.kubernetes.target import KubernetesTarget
from opscheck.systems.kubernetes.volumes import ListClaims
from opscheck.systems.kubernetes.workloads import (
    ListDaemonSets,
    ListDeployments,
    ListStatefulSets,
    Progress,
    Workload,
    progress_of,
)

T = TypeVar("T", bound=KubernetesObject)
_WHOLE_NAMESPACE = {"namespace": None, "selector": None, "name": None}
"""An expectation of some of the objects is not the one that is proposed here."""
_WORKLOADS: tuple[type[ListObjects[Any]], ...] = (ListDeployments, ListStatefulSets, ListDaemonSets)
_LISTS: tuple[type[ListObjects[Any]], ...] = (
    *_WORKLOADS,
    ListPods,
    ListClaims,
    ListCronJobs,
    ListServices,
    ListEndpointSlices,
    ListIngresses,
    ListAutoscalers,
    ListDisruptionBudgets,
    ListQuotas,
    ListCertificates,
)


@dataclass(frozen=True)
class Place:
    """One namespace of one cluster."""

    target: KubernetesTarget
    context: Context
    scope: str
    """The last part of each id: `shop`, or `prod-shop` where the command named the context prod."""

    @property
    def proposed(self) -> ProposedTarget:
        """The target for the policy."""
        named = {"context": self.target.context} if self.target.context else {}
        where = f"the context {self.context.name}" if self.context.name else "the cluster of this pod"
        return ProposedTarget(
            id=self.target.name,
            fields={"kind": "kubernetes", **named, "namespace": self.target.namespace},
            seen=f"Namespace {self.target.namespace} of {where}.",
        )


def discover(given: DiscoveryInput, look: Look) -> Discovery:
    """Propose expectations of the kinds of objects that the chosen namespace has."""
    if given.cluster is None:
        unasked = ("kubernetes: KUBECONFIG is set, but no namespace was chosen; add --namespace NAME",)
        return Discovery(not_seen=unasked if given.environment.get("KUBECONFIG") else ())
    try:
        place = find_place(given.cluster, look)
    except CouldNotObserve as error:
        return Discovery(not_seen=(not_read("kubernetes", "the cluster", error),))
    queries = [one(place.target.name, place.target.namespace) for one in _LISTS]
    namespace = _Namespace(place, look(place.target, queries))
    return Discovery.together([_proposed(namespace), _of_hosts(namespace, look, given)])


def find_place(cluster: Cluster, look: Look) -> Place:
    """The namespace that the command chose, else that of the kubeconfig's context. Raises CouldNotObserve."""
    target = KubernetesTarget(kind="kubernetes", name="kubernetes", context=cluster.context)
    query = ReadContext(target.name)
    context = look(target, [query])(query)
    namespace = cluster.namespace or context.namespace
    scope = slug(f"{cluster.context or ''}-{namespace}")
    found = target.model_copy(update={"name": f"kubernetes-{scope}", "namespace": namespace})
    return Place(found, context, scope)


def unread(target: str, error: CouldNotObserve) -> str:
    """The sentence about a list without an answer, or about the whole cluster."""
    what = "the cluster" if error.problem.target_down else error.query.called
    return not_read(target, what, error)


@dataclass(frozen=True)
class _Namespace:
    """The lists of one namespace."""

    place: Place
    observe: Observe

    def there(self, kind: type[ListObjects[T]]) -> tuple[T, ...]:
        """Objects of that kind that nothing deletes, by their names. Raises CouldNotObserve."""
        found = self.observe(kind(self.place.target.name, self.place.target.namespace)).items
        return tuple(sorted((one for one in found if not one.is_terminating), key=lambda one: one.name))

    def read(self, *kinds: type[ListObjects[Any]]) -> None:
        """Make sure that the check will have these lists. Raises CouldNotObserve."""
        for kind in kinds:
            self.there(kind)

    def proposal(
        self,
        concern: str,
        severity: Severity,
        reason: str,
        tags: tuple[str, ...] = (),
        **fields: Value,
    ) -> Proposal:
        """An expectation of all objects of a kind there."""
        return Proposal(
            id=f"{concern}-{self.place.scope}",
            check=f"kubernetes.{concern}",
            target=self.place.target.name,
            selector=_WHOLE_NAMESPACE,
            fields=fields,
            severity=severity,
            tags=tags,
            reason=reason,
        )


_Concern: TypeAlias = Callable[[_Namespace], Iterable[Proposal]]


def _proposed(namespace: _Namespace) -> Discovery:
    place, proposals, not_seen = namespace.place, list[Proposal](), list[str]()
    for concern in _CONCERNS:
        try:
            proposals += concern(namespace)
        except CouldNotObserve as error:
            # A kind of object that the server does not serve, such as cert-manager's, is not missing.
            if error.problem.kind is not ProblemKind.ABSENT:
                not_seen.append(unread(place.target.name, error))
    if not proposals and not not_seen:
        empty = f"namespace {place.target.namespace} has no objects to check, or does not exist"
        not_seen.append(f"{place.target.name}: {empty}")
    return Discovery(
        targets=(place.proposed,) if proposals else (),
        proposals=tuple(proposals),
        not_seen=tuple(dict.fromkeys(not_seen)),
    )


def _of_hosts(namespace: _Namespace, look: Look, given: DiscoveryInput) -> Discovery:
    try:
        ingresses = namespace.there(ListIngresses)
    except CouldNotObserve:
        return Discovery()  # reported with the ingresses
    name, of_namespace = namespace.place.target.name, namespace.place.target.namespace
    patterns = tuple(f"{name}: host {one} of an ingress not proposed: name a host" for one in patterns_of(ingresses))
    found = propose(hosts_of(ingresses), of_namespace, look, given)
    return Discovery.together([found, Discovery(not_seen=patterns)])


def _workloads(namespace: _Namespace) -> Iterator[Proposal]:
    workloads: list[Workload] = [one for kind in _WORKLOADS for one in namespace.there(kind)]
    found = [progress for one in workloads if (progress := progress_of(one)) is not None]
    namespace.read(ListPods)
    if not found:
        return
    yield namespace.proposal(
        "rollout",
        Severity.P0,
        f"{_named('workload', (one.name for one in found))}. P0 where too few pods serve; "
        "P1 while enough serve and only the rollout is unfinished.",
        ("system-down",),
        while_serving="P1",
    )
    wanted = sum(one.wanted for one in found)
    if wanted:
        yield namespace.proposal(
            "pods",
            Severity.P1,
            f"{counted(wanted, 'pod')} wanted by {_wanting(found)}. More than 5 restarts of a pod in an hour are a "
            "crash loop, not a deployment.",
            restarts={"at_most": 5, "within": "1h"},
        )


def _wanting(found: Iterable[Progress]) -> str:
    return counted(sum(one.wanted > 0 for one in found), "workload")


def _volumes(namespace: _Namespace) -> Iterator[Proposal]:
    claims = namespace.there(ListClaims)
    if claims:
        yield namespace.proposal(
            "volumes",
            Severity.P1,
            f"{_named('volume claim', _names(claims))}. The API server does not report how full a volume is: "
            "`prometheus` and `used` add that.",
        )


def _cronjobs(namespace: _Namespace) -> Iterator[Proposal]:
    cronjobs = namespace.there(ListCronJobs)
    if cronjobs:
        yield namespace.proposal(
            "cronjobs",
            Severity.P1,
            f"{_named('cron job', map(_described, cronjobs))}. The first run that is due after the last success "
            "must succeed.",
        )


def _described(cronjob: CronJob) -> str:
    last = cronjob.last_success
    success = f"last success {_day(last)}" if last else "no success yet"
    suspended = ", suspended" if cronjob.is_suspended else ""
    return f"{cronjob.name} ({cronjob.specified.schedule or 'no schedule'}, {success}{suspended})"


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _services(namespace: _Namespace) -> Iterator[Proposal]:
    services, pods = namespace.there(ListServices), namespace.there(ListPods)
    network = Network(namespace.there(ListEndpointSlices), pods)
    judged = [one for one in services if network.of(one).is_judged]
    if judged:
        yield namespace.proposal(
            "services",
            Severity.P0,
            f"{_named('service', _names(judged))}. A service without a ready endpoint refuses every connection.",
            ("system-down",),
        )


def _ingresses(namespace: _Namespace) -> Iterator[Proposal]:
    ingresses = namespace.there(ListIngresses)
    namespace.read(ListServices, ListEndpointSlices, ListPods)
    if ingresses:
        yield namespace.proposal(
            "ingresses",
            Severity.P0,
            f"{_named('ingress', _names(ingresses), 'ingresses')}. Each must have an address and route to ready "
            "endpoints.",
            ("system-down",),
        )


def _autoscalers(namespace: _Namespace) -> Iterator[Proposal]:
    autoscalers = namespace.there(ListAutoscalers)
    if autoscalers:
        yield namespace.proposal(
            "autoscaling",
            Severity.P2,
            f"{_named('autoscaler', _names(autoscalers))}. One at its maximum that wants more pods is a finding.",
            ("performance-degradation",),
        )


def _budgets(namespace: _Namespace) -> Iterator[Proposal]:
    budgets = namespace.there(ListDisruptionBudgets)
    namespace.read(ListPods)
    if budgets:
        yield namespace.proposal(
            "disruption",
            Severity.P2,
            f"{_named('disruption budget', _names(budgets))}. Each must have the healthy pods that it requires.",
        )


def _quotas(namespace: _Namespace) -> Iterator[Proposal]:
    quotas = namespace.there(ListQuotas)
    if quotas:
        yield namespace.proposal(
            "quotas",
            Severity.P2,
            f"{_named('quota', _names(quotas))}. At 100% the next pod is refused; 90% leaves time to raise it.",
            ("resource-exhaustion",),
            used={"P3": "90%", "P2": "99%"},
        )


def _certificates(namespace: _Namespace) -> Iterator[Proposal]:
    certificates = namespace.there(ListCertificates)
    if certificates:
        yield namespace.proposal(
            "certificates",
            Severity.P1,
            f"{_named('certificate', _names(certificates))} of cert-manager. The times in their status say when a "
            "renewal is overdue.",
        )


_CONCERNS: tuple[_Concern, ...] = (
    _workloads,
    _services,
    _ingresses,
    _volumes,
    _cronjobs,
    _certificates,
    _autoscalers,
    _budgets,
    _quotas,
)


def _names(objects: Iterable[KubernetesObject]) -> Iterator[str]:
    return (one.name for one in objects)


def _named(noun: str, names: Iterable[str], plural: str = "") -> str:
    """`2 services: api, web`."""
    every = sorted(names)
    what = counted(len(every), noun) if len(every) == 1 or not plural else f"{len(every)} {plural}"
    return f"{what}: {some(every)}"
