"""Why a certificate is not issued: the state of its request, order, challenge and issuer. Evidence, never a verdict."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

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
    Issuer,
    ListCertificateRequests,
    ListChallenges,
    ListClusterIssuers,
    ListIssuers,
    ListOrders,
    Order,
)
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.objects import Condition, KubernetesObject, condition
from opscheck.systems.kubernetes.words import message

K = TypeVar("K", bound=KubernetesObject)
_CHALLENGES = 3
_SETTLED = {"valid", "ready"}


@dataclass(frozen=True)
class Cause:
    """The obstacles to an issuance."""

    evidence: tuple[str, ...]
    facts: Mapping[str, str]
    """The objects, each under its kind."""


class Issuing:
    """The objects that certificates are issued through, as far as they can be read."""

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

    def cause(self, certificate: Certificate) -> Cause:
        """Why it is not issued, from its issuer down to the challenge that is not met."""
        evidence, facts = list[str](), dict[str, str]()
        for told, known in (*self._issuer(certificate), *self._attempt(certificate)):
            evidence.append(told)
            facts |= known
        return Cause(tuple(evidence), facts)

    def _issuer(self, certificate: Certificate) -> Iterator[tuple[str, dict[str, str]]]:
        named = certificate.spec and certificate.spec.issuer_ref
        if named is None or not named.name or (named.group or GROUP) != GROUP:
            return  # an external issuer, whose state is not known
        kind = named.kind or "Issuer"
        of_cluster = kind == "ClusterIssuer"
        called, fact = ("cluster issuer", "cluster_issuer") if of_cluster else ("issuer", "issuer")
        found = self._issuers.get((kind, "" if of_cluster else certificate.namespace, named.name))
        if found is None:
            unread = self._unread.get("clusterissuers" if of_cluster else "issuers")
            if unread is None:
                yield f"there is no {called} {named.name}", {fact: named.name}
            elif unread:
                yield unread, {}
        elif (told := _not_ready(found.status and found.status.conditions)) is not None:
            yield f"{called} {named.name} {told}", {fact: named.name}

    def _attempt(self, certificate: Certificate) -> Iterator[tuple[str, dict[str, str]]]:
        request = self._request(certificate)
        if request is None:
            if unread := self._unread.get("certificaterequests"):
                yield unread, {}
            return
        conditions = request.status and request.status.conditions
        told = _denied(conditions) or _not_ready(conditions)
        if told is None:
            return
        yield f"certificate request {request.name} {told}", {"request": request.name}
        for order in _owned(self._orders, "CertificateRequest", request):
            yield from self._order(order)
        if unread := self._unread.get("orders"):
            yield unread, {}

    def _request(self, certificate: Certificate) -> CertificateRequest | None:
        """The newest attempt: that of the highest revision. Old ones stay, and have succeeded."""
        mine = _owned(self._requests, "Certificate", certificate)
        return max(mine, key=lambda one: (_revision(one), one.name), default=None)

    def _order(self, order: Order) -> Iterator[tuple[str, dict[str, str]]]:
        state = (order.status and order.status.state) or "new"
        if state == "valid":
            return
        yield f"order {order.name} is {state}{_because(order.status and order.status.reason)}", {"order": order.name}
        open_ones = [one for one in _owned(self._challenges, "Order", order) if not _is_settled(one)]
        told = some_lines(open_ones, _told, _CHALLENGES)
        for number, line in enumerate(told):
            yield line, {"challenge": open_ones[0].name} if number == 0 else {}
        if not open_ones and (unread := self._unread.get("challenges")):
            yield unread, {}


def _owned(objects: tuple[K, ...], kind: str, owner: KubernetesObject) -> list[K]:
    return [one for one in objects if one.namespace == owner.namespace and _is_of(one, kind, owner.name)]


def _is_of(one: KubernetesObject, kind: str, name: str) -> bool:
    owners: Any = (one.metadata and one.metadata.owner_references) or ()
    return any(owner.kind == kind and owner.name == name for owner in owners)


def _revision(request: CertificateRequest) -> int:
    text = request.annotations.certificate_revision or ""
    return int(text) if text.isdecimal() else 0


def _denied(conditions: tuple[Condition, ...] | None) -> str | None:
    for kind, told in (("Denied", "was denied"), ("InvalidRequest", "is refused as invalid")):
        found = condition(conditions, kind)
        if found is not None and found.status == "True":
            return told + _because(found.message)
    approved = condition(conditions, "Approved")
    if approved is None and condition(conditions, "Ready") is None:
        return "is approved by nobody: does cert-manager's approver run, or another in its place?"
    return None


def _not_ready(conditions: tuple[Condition, ...] | None) -> str | None:
    found = condition(conditions, "Ready")
    if found is None:
        return "says nothing of its state"
    if found.status == "True":
        return None
    return f"is not ready ({found.reason or 'no reason given'}){_because(found.message)}"


def _because(text: str | None) -> str:
    said = message(text)
    return f": {said}" if said else ""


def _is_settled(challenge: Challenge) -> bool:
    return ((challenge.status and challenge.status.state) or "") in _SETTLED


def _told(challenge: Challenge) -> str:
    spec, status = challenge.spec, challenge.status
    of = f" for {spec.dns_name} ({spec.type})" if spec and spec.dns_name else ""
    state = (status and status.state) or "new"
    return f"challenge {challenge.name}{of} is {state}{_because(status and status.reason)}"
