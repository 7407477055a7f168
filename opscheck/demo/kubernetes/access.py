"""A small RBAC: rules, identities and attempts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

ALL = ("*",)


@dataclass(frozen=True)
class Attempt:
    """RBAC's attributes of a request. Without a namespace it has cluster scope."""

    verb: str
    resource: str
    group: str = ""
    namespace: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Rule:
    """A rule of a role. "*" matches anything; subresources are written as `pods/log`."""

    verbs: tuple[str, ...] = ALL
    resources: tuple[str, ...] = ALL
    groups: tuple[str, ...] = ALL
    namespaces: tuple[str, ...] = ALL

    def covers(self, attempt: Attempt) -> bool:
        """True if the rule applies to the attempt."""
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
    A caller of the API.

    RBAC only grants. `denied` lets a test revoke one permission of many.
    """

    username: str
    groups: tuple[str, ...] = ("system:authenticated",)
    uid: str = ""
    allowed: tuple[Rule, ...] = (Rule(),)
    denied: tuple[Rule, ...] = ()

    def may(self, attempt: Attempt) -> bool:
        """True if RBAC allows the attempt."""
        granted = any(rule.covers(attempt) for rule in self.allowed)
        return granted and not any(rule.covers(attempt) for rule in self.denied)


def impersonated(username: str, headers: Mapping[str, str], known: Mapping[str, Identity]) -> Identity:
    """
    The identity in the `Impersonate-*` headers.

    An unknown identity has no permission, as in a cluster where no role binding names it.
    """
    groups = tuple(part.strip() for part in headers.get("impersonate-group", "").split(",") if part.strip())
    rules = known.get(username, Identity(username, allowed=()))
    uid = headers.get("impersonate-uid", "")
    return replace(rules, groups=(*groups, "system:authenticated"), uid=uid)
