"""The scope of expectations and of their commands: the cluster, its namespaces, the selected objects."""

import re
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from opscheck.core.expectation import Expectation
from opscheck.core.field_types import only
from opscheck.core.findings import Findings
from opscheck.core.observation import Problem, ProblemKind
from opscheck.core.query import Query
from opscheck.core.record import Finding
from opscheck.core.remedy import Fact, Former, Remedy
from opscheck.core.units import Count, Duration
from opscheck.systems.kubernetes.api_server import ReadIdentity
from opscheck.systems.kubernetes.events import ListWarnings
from opscheck.systems.kubernetes.label_selectors import parse_selector
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.objects import KubernetesObject, reference
from opscheck.systems.kubernetes.target import KubernetesTarget

L = TypeVar("L", bound=ListObjects[Any])
EVERY_NAMESPACE = "*"
_NAMESPACE = re.compile(r"\*|[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def _selector(value: str) -> str:
    try:
        parse_selector(value)
    except ValueError as error:
        raise PydanticCustomError(
            "selector", "a label selector such as `app=api,tier in (web, api)`: {reason}", {"reason": str(error)}
        ) from error
    return value


def _several(value: tuple[str, ...]) -> tuple[str, ...]:
    if EVERY_NAMESPACE in value and len(value) > 1:
        raise PydanticCustomError("namespace", "names of namespaces, or only `*` for all of them")
    return tuple(dict.fromkeys(value))


Selector = Annotated[str, AfterValidator(_selector)]
Namespace = Annotated[str, only(_NAMESPACE.fullmatch, "namespace", "the name of a namespace, or `*` for all of them")]
Window = Annotated[Duration, only(lambda value: value >= 1, "window", "a duration of 1s or more")]
Namespaces = Annotated[tuple[Namespace, ...], Field(min_length=1), AfterValidator(_several)]
Glob = Annotated[str, Field(min_length=1)]
Excluded = Annotated[tuple[Glob, ...], Field(alias="except")]


def names_in_words(name: str | None, excluded: tuple[str, ...]) -> str:
    """The selection by name in words: ` named web-* except web-old`; empty without one."""
    named = f" named {name}" if name else ""
    return named + (f" except {', '.join(excluded)}" if excluded else "")


class InCluster(Expectation):
    """An expectation of a cluster."""

    fact_names: ClassVar[dict[str, str]] = {"namespace": "the namespace the finding is about"}
    former_fact_names: ClassVar[dict[str, Former]] = {"current_namespace": Former("namespace", without="context")}

    target: KubernetesTarget
    """The cluster."""
    when_absent: Literal["unknown", "skip"] = "unknown"
    """Verdict if the cluster does not serve this kind of object, as without metrics-server."""

    def evidence_queries(self) -> Iterable[Query[Any]]:
        """Queries for the report and for evidence; a missing answer changes no verdict."""
        yield ReadIdentity(self.target.name)

    def does_not_apply(self, problem: Problem) -> bool:
        """True when the cluster does not serve this kind of object and the policy allows that."""
        return problem.kind is ProblemKind.ABSENT and self.when_absent == "skip"


class InNamespaces(InCluster):
    """An expectation of objects in one namespace, in several, or in all."""

    namespace: Namespace | Namespaces | None = None
    """A namespace, a list of several, or `*` for all; by default that of the target."""
    selector: Selector | None = None
    """A label selector, such as `app=api,tier in (web, api)`; all by default."""

    reads_events: ClassVar[bool] = True
    """True when Warning events are evidence on its findings. They never change a verdict."""

    @property
    def namespaces(self) -> tuple[str | None, ...]:
        """The namespaces for queries; `(None,)` for all of them."""
        chosen = self.namespace or self.target.namespace
        names = (chosen,) if isinstance(chosen, str) else chosen
        return (None,) if EVERY_NAMESPACE in names else names

    @property
    def only_namespace(self) -> str | None:
        """Its namespace; None for several or all."""
        return self.namespaces[0] if len(self.namespaces) == 1 else None

    @property
    def where(self) -> str:
        """Its namespaces in words: `namespace shop`."""
        names = [name for name in self.namespaces if name]
        if not names:
            return "every namespace"
        return f"namespace {names[0]}" if len(names) == 1 else f"namespaces {', '.join(names)}"

    @property
    def selected(self) -> str:
        """The selection in words: `app=api in namespace shop`."""
        return f"{self.selector or 'all'} in {self.where}"

    def subject(self, one: KubernetesObject, name: str = "") -> str:
        """The name of `one` in findings, or `name` instead; with the namespace if there are several."""
        called = name or one.name
        return called if self.only_namespace else f"{one.namespace}/{called}"

    def on(self, findings: Findings, one: KubernetesObject, **facts: Fact) -> Findings:
        """
        The same collection for findings about `one`: under its name, with its namespace among the facts.

        Such findings explain those that name `one` as their cause.
        """
        kind = type(one).__name__.lower()  # classes are called as the kinds are
        about = reference(self.target, kind, one.name, one.namespace)
        return findings.on(self.subject(one), about=about, namespace=one.namespace or self.target.namespace, **facts)

    def finding_on(self, one: KubernetesObject, **parts: Any) -> Finding:
        """A finding about `one` that is not recorded; for `parts` see `Findings.finding`."""
        return self.on(Findings(self), one).finding(**parts)

    def lists(self, *kinds: type[L]) -> tuple[L, ...]:
        """The lists of these kinds, one for each namespace; other expectations share them."""
        return tuple(kind(self.target.name, namespace) for kind in kinds for namespace in self.namespaces)

    def evidence_queries(self) -> Iterable[Query[Any]]:
        """The client's identity, and the Warning events."""
        yield from super().evidence_queries()
        if self.reads_events:
            yield from self.lists(ListWarnings)


class Matched(InNamespaces):
    """An expectation of all selected objects, and of their number."""

    needs_severity = True
    fact_names = InNamespaces.fact_names | {
        "missing": "the selector or the name that matches too few objects",
        "namespace_option": "kubectl's option for the namespaces",
    }

    name: str | None = Field(default=None, min_length=1)
    """Only objects whose name matches this, with `*` and `?` as in a file name."""
    excluded: Excluded = ()
    """
    Not the objects whose name matches one of these, with `*` and `?` as in a file name.

    They do not count for `min_matches`. A pattern that matches nothing hides nothing, and is not reported.
    """
    min_matches: Count = 1
    """Minimum number of selected objects; 0 allows none."""

    @property
    def selected(self) -> str:
        """The selection in words: `app=api named web-* in namespace shop`."""
        return f"{self.selector or 'all'}{names_in_words(self.name, self.excluded)} in {self.where}"


class OfKind(Matched):
    """An expectation of all selected objects of one kind, with a grace period."""

    grace: Duration = Duration.parse("15m")
    """Maximum duration of a problem before it is a violation."""


def kubectl(summary: str, *commands: str) -> Remedy:
    """A remedy of kubectl commands, each in the context that the policy pins and in the namespace of the finding."""
    return Remedy(summary, *(f"kubectl {{{{ context_option }}}} -n {{{{ namespace }}}} {one}" for one in commands))


def missing_remedy(kinds: str) -> Remedy:
    """The remedy for too few selected objects of these kinds, used by `count_matches`."""
    return Remedy(
        "Compare the objects' labels with the selector; correct it, or create the missing objects",
        f"kubectl {{{{ context_option }}}} {{{{ namespace_option }}}} get {kinds} --show-labels"
        "  # compare with {{ missing }}",
    )
