"""The base class of all expectations."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.observation import Problem
from opscheck.core.query import Query
from opscheck.core.record import Advice, Finding
from opscheck.core.remedy import Fact, Former, Remedy, fact_text
from opscheck.core.target import Target
from opscheck.core.units import Graded, Severity, Timeout, worst

_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")

# Marks that pytest or its plugins give a meaning of their own; a tag becomes a mark.
_RESERVED_TAGS = {"skip", "skipif", "xfail", "parametrize", "usefixtures", "filterwarnings", "xdist_group"}


def _identifier(value: str) -> str:
    if not _ID.match(value):
        raise PydanticCustomError("identifier", "letters, digits, `.`, `_` and `-`, starting with a letter or digit")
    return value


def _tag(value: str) -> str:
    if value in _RESERVED_TAGS:
        raise PydanticCustomError("reserved_tag", "a tag that is not one of pytest's own marks")
    return _identifier(value)


Identifier = Annotated[str, AfterValidator(_identifier), Field(json_schema_extra={"pattern": _ID.pattern})]
Tag = Annotated[str, AfterValidator(_tag), Field(json_schema_extra={"pattern": _ID.pattern})]


class Remediation(BaseModel):
    """The fix for a violation: one sentence and shell commands."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    summary: str = ""
    """The fix, in one sentence."""
    commands: tuple[str, ...] = ()
    """Shell commands; `{{ name }}` is replaced by a fact of the finding, the expectation or its target, quoted."""


class Expectation(BaseModel):
    """
    One entry of the policy: this should be true of that target.

    Subclass it with `check="system.concern"` to add a kind, and write a check whose argument has that type.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    check_name: ClassVar[str] = ""
    """The name that policies give this kind."""
    remedies: ClassVar[tuple[Remedy, ...]] = ()
    """All remedies that its findings may suggest when the policy sets no `remediation`."""
    no_answer_remedies: ClassVar[tuple[Remedy, ...]] = ()
    """The remedies of a missing answer, when that alone is a violation (`no_answer`); a subset of `remedies`."""
    fact_names: ClassVar[Mapping[str, str]] = {}
    """The values of its findings that a remediation command may name, each with a word of explanation."""
    former_fact_names: ClassVar[Mapping[str, Former]] = {}
    """Fact names from earlier versions that policies may still use, each with its meaning."""
    needs_severity: ClassVar[bool] = False
    """True when it also judges conditions without a threshold, so that the policy must set `severity`."""
    explains_others: ClassVar[bool] = False
    """
    True when its findings may be the cause of other expectations' findings.

    Its check then also runs once before any check is reported, with only the three arguments of a check.
    """
    changes_its_target: ClassVar[bool] = False
    """True when its queries write somewhere. They are sent only with `--drill`."""
    any_limit_of: ClassVar[tuple[str, ...]] = ()
    """Fields of which at least one must be set; an expectation without a limit could never fail."""

    id: Identifier
    """The name of the expectation in every report."""
    check: str
    """The check that judges it, as `system.concern`."""
    title: str | None = None
    """The expectation in one sentence; default: the claim of the check."""
    severity: Severity | None = None
    """Severity of violations that no graded limit covers."""
    timeout: Timeout | None = None
    """Time limit of each of its queries."""
    tags: tuple[Tag, ...] = ()
    """Words to select it by; each is a pytest mark."""
    owner: str | None = None
    """Person or team responsible for it."""
    runbook: str | None = None
    """URL of the runbook."""
    remediation: Remediation | None = None
    """The fix; default: the remedies of the check."""
    skip: Annotated[str, Field(min_length=1)] | None = None
    """Reason why it does not apply here. The verdict is then `skipped`, with this reason."""

    def __init_subclass__(cls, check: str = "", **options: Any) -> None:
        super().__init_subclass__(**options)
        if check:
            cls.check_name = check

    @classmethod
    def __pydantic_init_subclass__(cls, check: str = "", **options: Any) -> None:
        """Accepts the class keywords, which pydantic passes a second time."""

    def queries(self) -> Iterable[Query[Any]]:
        """The queries whose answers decide its verdict; they are sent together, before any check runs."""
        return ()

    def follow_up_queries(self, answer: Callable[[Query[Any]], Any]) -> Iterable[Query[Any]]:  # noqa: ARG002 - subclasses read it
        """
        Queries that depend on the answers to the first ones, such as one per database.

        `answer` returns those answers, and raises CouldNotObserve when one is missing.
        """
        return ()

    def described(self) -> Iterable[Query[Any]]:
        """All its queries before the first answer, for display."""
        return dict.fromkeys((*self.queries(), *self.evidence_queries()))

    @property
    def extra_time_s(self) -> float:
        """Extra time in seconds that a run may take, for queries with a time limit of their own."""
        return 0.0

    def finding(  # noqa: PLR0913 - the parts of a finding, by name
        self,
        *,
        subject: str,
        observed: str,
        expected: str,
        severity: Severity | None = None,
        since: datetime | None = None,
        evidence: Iterable[str] = (),
        remedies: Sequence[Remedy] = (),
        facts: Mapping[str, Fact] | None = None,
        about: str = "",
        because: Iterable[str] = (),
    ) -> Finding:
        """
        A violation. Without `severity` it has the expectation's own.

        `remedies` fit it, and `facts` are the values that their commands name. Both must be declared: an undeclared
        one is a LookupError. `about` says which object it is about, and `because` which objects would explain it:
        where another expectation of the run has a finding about one of them, this finding is reported there.
        """
        kind = type(self)
        if undeclared := sorted(set(facts or ()) - set(kind.fact_names)):
            raise LookupError(f"{kind.__name__}.fact_names does not declare {', '.join(undeclared)}")
        if unknown := [remedy.summary for remedy in remedies if remedy not in kind.remedies]:
            raise LookupError(f"{kind.__name__}.remedies does not declare {'; '.join(unknown)}")
        return Finding(
            subject=subject,
            severity=severity or self.ungraded_severity,
            observed=observed,
            expected=expected,
            since=since,
            evidence=tuple(evidence),
            remediation=Advice(
                summary=". ".join(dict.fromkeys(remedy.summary for remedy in remedies)),
                commands=tuple(command for remedy in remedies for command in remedy.commands),
            ),
            facts={name: fact_text(value) for name, value in (facts or {}).items()},
            about=about,
            because=tuple(because),
        )

    def evidence_queries(self) -> Iterable[Query[Any]]:
        """Queries for the report and as evidence; no verdict depends on their answers."""
        return ()

    def does_not_apply(self, problem: Problem) -> bool:  # noqa: ARG002 - subclasses read it
        """True when the policy says that a missing answer means that the expectation does not apply."""
        return False

    def no_answer(self, problem: Problem) -> Severity | None:  # noqa: ARG002 - subclasses read it
        """
        Severity of a missing answer, for expectations whose claim is that the target answers.

        None, the default: the verdict is `unknown`.
        """
        return None

    @property
    def system(self) -> Target | None:
        """Its target, or the first target that another field names; None without one."""
        target: Target | None = getattr(self, "target", None)
        return target or next(iter(self.systems), None)

    @property
    def systems(self) -> tuple[Target, ...]:
        """Every target that it queries: those that its fields name, and in subclasses those that it brings itself."""
        fields = (getattr(self, name) for name in type(self).model_fields)
        return tuple(field for field in fields if isinstance(field, Target))

    @property
    def ungraded_severity(self) -> Severity:
        """Severity of a violation that no limit grades: `severity`, or else the worst of its limits."""
        return self.severity or worst(self._graded_severities()) or Severity.P3

    @property
    def worst_severity(self) -> Severity:
        """The worst severity that a violation can have, and so that of `unknown`: by `severity` or by a limit."""
        return min([*self._graded_severities(), self.ungraded_severity])

    def _graded_severities(self) -> list[Severity]:
        return [severity for limit in self.limits().values() for severity, _ in limit.steps]

    def limits(self) -> dict[str, Graded[Any]]:
        """Its graded limits by field."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: value for name, value in values.items() if isinstance(value, Graded)}

    @model_validator(mode="after")
    def _can_fail(self) -> Self:
        if self.any_limit_of and all(getattr(self, name) is None for name in self.any_limit_of):
            raise PydanticCustomError(
                "limit_missing",
                "at least one limit ({fields}); without one it could never fail",
                {"fields": ", ".join(self.any_limit_of)},
            )
        return self

    @model_validator(mode="after")
    def _every_limit_has_a_severity(self) -> Self:
        limits = self.limits()
        plain = [name for name, limit in limits.items() if limit.plain is not None]
        if self.severity is None and plain:
            raise PydanticCustomError(
                "severity_missing",
                "`severity` for the plain limit `{field}`, or a limit by severity, such as {P2: {value}}",
                {"field": plain[0], "value": str(limits[plain[0]])},
            )
        if self.severity is None and (self.needs_severity or not limits):
            raise PydanticCustomError("severity_missing", "`severity` of a violation, P0 to P3")
        for name in plain:
            # The model is frozen, but still under construction here.
            self.__dict__[name] = limits[name].with_severity(self.severity or Severity.P3)
        return self
