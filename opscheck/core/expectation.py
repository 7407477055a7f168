"""What every expectation has, whatever it expects."""

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
    """What fixes a violation: one sentence, and what to type."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    summary: str = ""
    """What to do, in one sentence."""
    commands: tuple[str, ...] = ()
    """Shell commands; `{{ name }}` stands for a fact of the finding, the expectation or its target, quoted."""


class Expectation(BaseModel):
    """
    One entry of the policy: this should be true of that target.

    Subclass it with `check="system.concern"` to add a kind, and write a check whose argument has that type.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    check_name: ClassVar[str] = ""
    """The name that policies give this kind."""
    remedies: ClassVar[tuple[Remedy, ...]] = ()
    """All that its findings may suggest where the policy says nothing."""
    no_answer_remedies: ClassVar[tuple[Remedy, ...]] = ()
    """Those of `remedies` that a missing answer brings, where that alone is a violation (`no_answer`)."""
    fact_names: ClassVar[Mapping[str, str]] = {}
    """The values of its findings that a remediation command may name, each with a word of explanation."""
    former_fact_names: ClassVar[Mapping[str, Former]] = {}
    """Names that policies of earlier versions may use, each with what it stands for."""
    needs_severity: ClassVar[bool] = False
    """True when it also judges what has no grade, so that a policy must say how bad that is."""
    explains_others: ClassVar[bool] = False
    """
    True when its findings may be the cause of what others find.

    Its check is then also run once before any check is reported, with nothing but the three arguments of a check.
    """
    changes_its_target: ClassVar[bool] = False
    """True when its queries write somewhere. They are sent only where the command says `--drill` too."""
    any_limit_of: ClassVar[tuple[str, ...]] = ()
    """Fields of which at least one must be there; an expectation without a limit could never fail."""

    id: Identifier
    """The expectation's name; the same string in every report."""
    check: str
    """Which check judges it, as `system.concern`."""
    title: str | None = None
    """What is expected, in one sentence; the check's own claim by default."""
    severity: Severity | None = None
    """How bad it is when something without a grade of its own is violated."""
    timeout: Timeout | None = None
    """How long each of its questions may take."""
    tags: tuple[Tag, ...] = ()
    """Words to select it by; each is a pytest mark."""
    owner: str | None = None
    """Who looks after it."""
    runbook: str | None = None
    """Where the long answer stands."""
    remediation: Remediation | None = None
    """What to do; the check's own advice by default."""
    skip: Annotated[str, Field(min_length=1)] | None = None
    """Why this does not apply here. It is then reported as skipped, with this reason."""

    def __init_subclass__(cls, check: str = "", **options: Any) -> None:
        super().__init_subclass__(**options)
        if check:
            cls.check_name = check

    @classmethod
    def __pydantic_init_subclass__(cls, check: str = "", **options: Any) -> None:
        """Pydantic hands the class keywords over a second time; there is nothing left to do."""

    def queries(self) -> Iterable[Query[Any]]:
        """The queries whose answers it is judged by; they are sent together, before any check runs."""
        return ()

    def follow_up_queries(self, answer: Callable[[Query[Any]], Any]) -> Iterable[Query[Any]]:  # noqa: ARG002 - subclasses read it
        """
        More such queries, which depend on the answers to the first ones: one for each database there is.

        `answer` gives them, and raises CouldNotObserve; then there is no more to query.
        """
        return ()

    def described(self) -> Iterable[Query[Any]]:
        """Its queries as people are shown them before any was sent."""
        return dict.fromkeys((*self.queries(), *self.evidence_queries()))

    @property
    def extra_time_s(self) -> float:
        """How much longer than usual a run may take because its queries have time limits of their own."""
        return 0.0

    def finding(  # noqa: PLR0913 - what a finding is made of, by name
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
        A violation. Its severity is the expectation's own where the finding has no grade.

        `remedies` are what fits it, and `facts` the values that their commands name. Both must be declared: another
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
        """Further queries for the report and as evidence; no verdict stands on their answers."""
        return ()

    def does_not_apply(self, problem: Problem) -> bool:  # noqa: ARG002 - subclasses read it
        """True when a missing answer means that the expectation does not apply here, by a word of the policy."""
        return False

    def no_answer(self, problem: Problem) -> Severity | None:  # noqa: ARG002 - subclasses read it
        """
        How bad it is that a query has no answer, when that alone proves the expectation violated.

        None, the default, means that nothing could be observed: the verdict is `unknown`.
        """
        return None

    @property
    def system(self) -> Target | None:
        """Its target, else the first that another of its fields names; None when it has none."""
        target: Target | None = getattr(self, "target", None)
        return target or next(iter(self.systems), None)

    @property
    def systems(self) -> tuple[Target, ...]:
        """Every target that it queries: those that its fields name, and in subclasses those that it brings itself."""
        fields = (getattr(self, name) for name in type(self).model_fields)
        return tuple(field for field in fields if isinstance(field, Target))

    @property
    def ungraded_severity(self) -> Severity:
        """How bad a violation is that no limit grades: `severity`, else its limits' worst."""
        return self.severity or worst(self._graded_severities()) or Severity.P3

    @property
    def worst_severity(self) -> Severity:
        """How bad a violation can be at worst, and so what could not be observed: by `severity` or by a limit."""
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
                "`severity` beside the plain limit `{field}`, or a grade for it, such as {P2: {value}}",
                {"field": plain[0], "value": str(limits[plain[0]])},
            )
        if self.severity is None and (self.needs_severity or not limits):
            raise PydanticCustomError("severity_missing", "`severity`: how bad a violation is, P0 to P3")
        for name in plain:
            # The model is frozen; here it is still being made.
            self.__dict__[name] = limits[name].with_severity(self.severity or Severity.P3)
        return self
