"""Where an expectation and the commands of its remedies look: the cluster, its namespaces, the selected objects."""

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
        raise PydanticCustomError("namespace", "names of namespaces, or `*` alone for every one")
    return tuple(dict.fromkeys(value))


Selector = Annotated[str, AfterValidator(_selector)]
Namespace = Annotated[str, only(_NAMESPACE.fullmatch, "namespace", "the name of a namespace, or `*` for every one")]
Window = Annotated[Duration, only(lambda value: value >= 1, "window", "a duration of 1s or more")]
Namespaces = Annotated[tuple[Namespace, ...], Field(min_length=1), AfterValidator(_several)]
Glob = Annotated[str, Field(min_length=1)]


class InCluster(Expectation):
    """Looks at a cluster."""

    fact_names: ClassVar[dict[str, str]] = {"namespace": "the namespace the finding is about"}
    former_fact_names: ClassVar[dict[str, Former]] = {"current_namespace": Former("namespace", without="context")}

    target: KubernetesTarget
    """The cluster."""
    when_absent: Literal["unknown", "skip"] = "unknown"
    """What to say where the cluster does not serve such objects at all, as without metrics-server."""

    def evidence_queries(self) -> Iterable[Query[Any]]:
        """What is asked for the report and as evidence; a missing answer changes no verdict."""
        yield ReadIdentity(self.target.name)

    def does_not_apply(self, problem: Problem) -> bool:
        """True where the cluster does not serve such objects and the policy says that this is all right."""
        return problem.kind is ProblemKind.ABSENT and self.when_absent == "skip"


class InNamespaces(InCluster):
    """Looks at objects of one namespace, of several, or of all."""

    namespace: Namespace | Namespaces | None = None
    """The namespace to look at, a list of several, `*` for every one; the target's own by default."""
    selector: Selector | None = None
    """A label selector, such as `app=api,tier in (web, api)`; all by default."""

    reads_events: ClassVar[bool] = True
    """True when Warning events are evidence on its findings. They never decide anything."""

    @property
    def namespaces(self) -> tuple[str | None, ...]:
        """The namespaces that queries name; None is every one."""
        chosen = self.namespace or self.target.namespace
        names = (chosen,) if isinstance(chosen, str) else chosen
        return (None,) if EVERY_NAMESPACE in names else names

    @property
    def only_namespace(self) -> str | None:
        """The namespace it looks at where that is a single one, None for several or all."""
        return self.namespaces[0] if len(self.namespaces) == 1 else None

    @property
    def where(self) -> str:
        """Where it looks, in words: `namespace shop`."""
        names = [name for name in self.namespaces if name]
        if not names:
            return "every namespace"
        return f"namespace {names[0]}" if len(names) == 1 else f"namespaces {', '.join(names)}"

    @property
    def selected(self) -> str:
        """What is looked at, in words: `app=api in namespace shop`."""
        return f"{self.selector or 'all'} in {self.where}"

    def subject(self, one: KubernetesObject, name: str = "") -> str:
        """What findings call `one`, or `name` beside it: with its namespace where it looks at several."""
        called = name or one.name
        return called if self.only_namespace else f"{one.namespace}/{called}"

    def on(self, findings: Findings, one: KubernetesObject, **facts: Fact) -> Findings:
        """
        The same collection, for what is found about `one`: under its name, with its namespace among the facts.

        Such findings are the cause of those that name `one` as theirs.
        """
        kind = type(one).__name__.lower()  # classes are called as the kinds are
        about = reference(self.target, kind, one.name, one.namespace)
        return findings.on(self.subject(one), about=about, namespace=one.namespace or self.target.namespace, **facts)

    def finding_on(self, one: KubernetesObject, **parts: Any) -> Finding:
        """A finding about `one` that is not recorded; for `parts` see `Findings.finding`."""
        return self.on(Findings(self), one).finding(**parts)

    def lists(self, *kinds: type[L]) -> tuple[L, ...]:
        """The lists of these kinds, one for each namespace; each is shared with every other expectation there."""
        return tuple(kind(self.target.name, namespace) for kind in kinds for namespace in self.namespaces)

    def evidence_queries(self) -> Iterable[Query[Any]]:
        """Who asks, and the Warning events there."""
        yield from super().evidence_queries()
        if self.reads_events:
            yield from self.lists(ListWarnings)


class Matched(InNamespaces):
    """Looks at all objects that are selected there, and at how many there are."""

    needs_severity = True
    fact_names = InNamespaces.fact_names | {
        "missing": "the selector or the name that matches too few objects",
        "namespace_option": "kubectl's option for the namespaces that are looked at",
    }

    name: str | None = Field(default=None, min_length=1)
    """Only objects whose name matches this, with `*` and `?` as in a file name."""
    min_matches: Count = 1
    """How many must be there at least; 0 says that there may be none."""

    @property
    def selected(self) -> str:
        """What is looked at, in words: `app=api named web-* in namespace shop`."""
        named = f" named {self.name}" if self.name else ""
        return f"{self.selector or 'all'}{named} in {self.where}"


class OfKind(Matched):
    """Looks at all objects of one kind that are selected there, and at how long they have been in trouble."""

    grace: Duration = Duration.parse("15m")
    """How long something may be on its way, before that is a violation."""


def kubectl(summary: str, *commands: str) -> Remedy:
    """A remedy of kubectl commands, each in the context that the policy pins and in the namespace of the finding."""
    return Remedy(summary, *(f"kubectl {{{{ context_option }}}} -n {{{{ namespace }}}} {one}" for one in commands))


def missing_remedy(kinds: str) -> Remedy:
    """The remedy where too few objects of these kinds are selected, as `count_matches` brings it."""
    return Remedy(
        "Compare the labels of what is there with the selector; correct it, or create what is missing",
        f"kubectl {{{{ context_option }}}} {{{{ namespace_option }}}} get {kinds} --show-labels"
        "  # what should match {{ missing }}?",
    )
