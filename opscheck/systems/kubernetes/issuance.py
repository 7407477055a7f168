"""Causes of failed issuances: the state of request, order, challenge and issuer. Evidence, never a verdict."""

from collections.abc import Iterator
from typing import TypeVar

from opscheck.core.findings import Observe
from opscheck.core.observation import Problem, ProblemKind
from opscheck.core.words import some_lines
from opscheck.systems.kubernetes.certificates import (
    GROUP,
    Certificate,
    CertificateRequest,
    CertificatesRenewed,
    Challenge,
    ClusterIssuer,
    ConditionsOnly,
    Issuer,
    ListCertificateRequests,
    ListChallenges,
    ListClusterIssuers,
    ListIssuers,
    ListOrders,
    Order,
)
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.objects import KubernetesObject, condition
from opscheck.systems.kubernetes.words import message

K = TypeVar("K", bound=KubernetesObject)

_CHALLENGES = 3
_SETTLED = {"valid", "ready"}


class Issuing:
    """The readable objects that certificates are issued through."""

    def __init__(self, expectation: CertificatesRenewed, observe: Observe) -> None:
        self._observe = observe
        self._unread: dict[str, str] = {}
        self._requests = self._read(expectation.lists(ListCertificateRequests))
        self._orders = self._read(expectation.lists(ListOrders))
        self._challenges = self._read(expectation.lists(ListChallenges))
        issuers: tuple[Issuer | ClusterIssuer, ...] = (
            *self._read(expectation.lists(ListIssuers)),
            *self._read((ListClusterIssuers(expectation.target.name),)),
        )
        self._issuers = {(type(one).__name__, one.namespace, one.name): one for one in issuers}

    def _read(self, queries: tuple[ListObjects[K], ...]) -> tuple[K, ...]:
        items: list[K] = []
        for query in queries:
            answer = self._observe.evidence(query)
            if not isinstance(answer, Problem):
                items += answer.items
            # Without an ACME issuer, a cluster may not serve orders and challenges.
            elif answer.kind is not ProblemKind.ABSENT:
                self._unread[query.plural] = f"{query.called} could not be read: {answer.text}"
            else:
                self._unread.setdefault(query.plural, "")
        return tuple(items)

    def cause(self, certificate: Certificate) -> tuple[tuple[str, ...], dict[str, str]]:
        """The reasons why it is not issued, from its issuer to the open challenge; and these objects, by kind."""
        facts: dict[str, str] = {}
        evidence = (*self._issuer(certificate, facts), *self._attempt(certificate, facts))
        return tuple(line for line in evidence if line), facts

    def _issuer(self, certificate: Certificate, facts: dict[str, str]) -> Iterator[str]:
        named = certificate.spec and certificate.spec.issuer_ref
        if named is None or not named.name or (named.group or GROUP) != GROUP:
            return  # an external issuer, whose state is unknown
        kind = named.kind or "Issuer"
        of_cluster = kind == "ClusterIssuer"
        called, fact = ("cluster issuer", "cluster_issuer") if of_cluster else ("issuer", "issuer")
        found = self._issuers.get((kind, "" if of_cluster else certificate.namespace, named.name))
        unread = self._unread.get("clusterissuers" if of_cluster else "issuers")
        state = f"{called} {named.name} does not exist"
        if found is not None:
            problem = _not_ready(found.status)
            state = f"{called} {named.name} {problem}" if problem else ""
        elif unread is not None:
            yield unread
            return
        if state:
            facts[fact] = named.name
            yield state

    def _attempt(self, certificate: Certificate, facts: dict[str, str]) -> Iterator[str]:
        # The newest attempt has the highest revision. Old ones stay, and have succeeded.
        requests = _owned(self._requests, "Certificate", certificate)
        request = max(requests, key=lambda one: (_revision(one), one.name), default=None)
        if request is None:
            yield self._unread.get("certificaterequests", "")
        elif problem := _denied(request.status) or _not_ready(request.status):
            facts["request"] = request.name
            yield f"certificate request {request.name} {problem}"
            for order in _owned(self._orders, "CertificateRequest", request):
                yield from self._order(order, facts)
            yield self._unread.get("orders", "")

    def _order(self, order: Order, facts: dict[str, str]) -> Iterator[str]:
        state = (order.status and order.status.state) or "new"
        if state == "valid":
            return
        facts["order"] = order.name
        yield f"order {order.name} is {state}{_because(order.status and order.status.reason)}"
        of_order = _owned(self._challenges, "Order", order)
        unmet = [one for one in of_order if ((one.status and one.status.state) or "") not in _SETTLED]
        if unmet:
            facts["challenge"] = unmet[0].name
            yield from some_lines(unmet, _described, _CHALLENGES)
        else:
            yield self._unread.get("challenges", "")


def _owned(objects: tuple[K, ...], kind: str, owner: KubernetesObject) -> list[K]:
    def is_owned(one: KubernetesObject) -> bool:
        owners = (one.metadata and one.metadata.owner_references) or ()
        return any(by.kind == kind and by.name == owner.name for by in owners)

    return [one for one in objects if one.namespace == owner.namespace and is_owned(one)]


def _revision(request: CertificateRequest) -> int:
    text = request.annotations.certificate_revision or ""
    return int(text) if text.isdecimal() else 0


def _denied(status: ConditionsOnly | None) -> str:
    conditions = status and status.conditions
    for kind, problem in (("Denied", "was denied"), ("InvalidRequest", "is refused as invalid")):
        if found := condition(conditions, kind, "True"):
            return problem + _because(found.message)
    if condition(conditions, "Approved") is None and condition(conditions, "Ready") is None:
        return "is not approved: check that cert-manager's approver, or its replacement, runs"
    return ""


def _not_ready(status: ConditionsOnly | None) -> str:
    found = condition(status and status.conditions, "Ready")
    if found is None:
        return "reports no state"
    ready = found.status == "True"
    return "" if ready else f"is not ready ({found.reason or 'no reason given'}){_because(found.message)}"


def _because(text: str | None) -> str:
    return f": {said}" if (said := message(text)) else ""


def _described(challenge: Challenge) -> str:
    spec, status = challenge.spec, challenge.status
    of = f" for {spec.dns_name} ({spec.type})" if spec and spec.dns_name else ""
    return f"challenge {challenge.name}{of} is {(status and status.state) or 'new'}{_because(status and status.reason)}"
