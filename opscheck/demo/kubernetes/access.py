"""Who may do what: RBAC in the small."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

ALL = ("*",)


@dataclass(frozen=True)
class Attempt:
    """What somebody tries: RBAC's attributes of a request. Cluster scope is the namespace None."""

    verb: str
    resource: str
    group: str = ""
    namespace: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Rule:
    """What a role grants. "*" is anything; subresources are spelled `pods/log`."""

    verbs: tuple[str, ...] = ALL
    resources: tuple[str, ...] = ALL
    groups: tuple[str, ...] = ALL
    namespaces: tuple[str, ...] = ALL

    def covers(self, attempt: Attempt) -> bool:
        """Whether this rule speaks of that attempt."""
        return (
            _among(attempt.verb, self.verbs)
            and _among(attempt.resource, self.resources)
            and _among(attempt.group, self.groups)
            and _among(attempt.namespace, self.namespaces)
        )


def _among(value: str | None, granted: tuple[str, ...]) -> bool:
    return granted == ALL or value in granted


@dataclass(frozen=True)
class Identity:
    """
    Somebody who calls the API.

    RBAC only ever grants; `denied` is there so that a test can take one thing away from everything.
    """

    username: str
    groups: tuple[str, ...] = ("system:authenticated",)
    uid: str = ""
    allowed: tuple[Rule, ...] = (Rule(),)
    denied: tuple[Rule, ...] = ()

    def may(self, attempt: Attempt) -> bool:
        """Whether RBAC lets it through."""
        granted = any(rule.covers(attempt) for rule in self.allowed)
        return granted and not any(rule.covers(attempt) for rule in self.denied)


def impersonated(username: str, headers: Mapping[str, str], known: Mapping[str, Identity]) -> Identity:
    """
    The identity that the `Impersonate-*` headers ask for.

    One that nobody described may do nothing, as in a cluster where no role names it.
    """
    groups = tuple(part.strip() for part in headers.get("impersonate-group", "").split(",") if part.strip())
    rules = known.get(username, Identity(username, allowed=()))
    uid = headers.get("impersonate-uid", "")
    return replace(rules, groups=(*groups, "system:authenticated"), uid=uid)
