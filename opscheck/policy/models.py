"""The parts of a policy that are not targets or expectations, and the finished policy."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from opscheck.core.expectation import Expectation, Identifier, Tag
from opscheck.core.record import Source, UsedDistribution
from opscheck.core.redaction import Secrets
from opscheck.core.target import Target
from opscheck.core.units import Duration, Severity, Timeout
from opscheck.policy.variables import NAME_PATTERN

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_VARIABLE = re.compile(NAME_PATTERN)


def _day(value: object) -> date:
    # `2026` is a number in YAML, and a lenient parser reads 1 January: an expired waiver.
    if isinstance(value, date):
        return value
    try:
        if isinstance(value, str) and _DATE.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise PydanticCustomError("day", "a day written YYYY-MM-DD, such as 2026-12-01")


def _variable(value: object) -> object:
    if isinstance(value, str) and _VARIABLE.fullmatch(value):
        return value
    raise PydanticCustomError("variable", "the name of a variable, without `$`, such as NAMESPACE")


Text = Annotated[str, Field(min_length=1)]
Day = Annotated[date, BeforeValidator(_day, json_schema_input_type=str)]
VariableName = Annotated[str, BeforeValidator(_variable), Field(json_schema_extra={"pattern": f"^{NAME_PATTERN}$"})]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SeverityLevel(_Part):
    """The meaning of a severity, and its response time."""

    name: Text
    """Name, such as Critical."""
    description: str = ""
    """Impact, such as: production is down."""
    respond_within: Duration
    """Response time."""
    escalate_after: Duration
    """Delay of an escalation step without `after`."""


class Match(_Part):
    """The findings that an escalation rule is for. An omitted key matches all findings."""

    tag: Tag | None = None
    """Findings of expectations with this tag."""
    id: Identifier | None = None
    """Findings of this expectation."""
    severity: Severity | None = None
    """Findings of this severity."""


class EscalationStep(_Part):
    """One call."""

    after: Duration | None = None
    """Delay after the finding; default: `escalate_after` of the severity."""
    notify: Text
    """Person or team to notify."""


class EscalationRule(_Part):
    """An escalation rule. The first matching rule applies."""

    match: Match = Match()
    """The findings that it is for."""
    steps: tuple[EscalationStep, ...] = Field(min_length=1)
    """Persons or teams to notify, with their delay."""


class Waiver(_Part):
    """A waiver: an owner accepts a violation until a day, for a reason."""

    id: Identifier
    """The expectation whose violations it waives."""
    reason: Text
    """Reason, such as the change that fixes it."""
    owner: Text
    """Person or team that accepts the violation."""
    expires: Day
    """Last day on which it applies, YYYY-MM-DD, in UTC."""

    def expired(self, today: date) -> bool:
        """True when `today` (in UTC) is past its last day."""
        return today > self.expires


class Defaults(_Part):
    """Defaults of all expectations."""

    timeout: Timeout | None = None
    """Time limit of a query, unless the expectation or its target sets one."""
    owner: Text | None = None
    """Person or team responsible."""
    runbook: Text | None = None
    """URL of the runbook."""
    tags: tuple[Tag, ...] | None = None
    """Tags of every expectation, for selection."""


class PolicyFile(_Part):
    """A policy of opscheck: targets, the expectations about them, and their severities."""

    version: Literal[1] = 1
    """Version of the policy language."""
    extends: Text | Annotated[list[Text], Field(min_length=1)] | None = None
    """Policy files that this one extends. `opscheck:base.yaml` is bundled with opscheck."""
    environment: Text | None = None
    """The environment, such as production."""
    defaults: Defaults = Defaults()
    """Defaults of all expectations."""
    uses: tuple[Text, ...] = ()
    """Installed distributions with other systems, such as `opscheck-memcached>=0.1`."""
    public_variables: tuple[VariableName, ...] = ()
    """Environment variables whose values may be shown. All other values are secret."""
    targets: dict[Identifier, dict[str, Any]] = {}
    """The systems to check, by the name that expectations use."""
    severities: dict[Severity, SeverityLevel] = {}
    """Meaning and response time of P0 to P3; defaults are in opscheck:base.yaml."""
    escalation: tuple[EscalationRule, ...] = ()
    """Escalation rules; the first matching rule applies."""
    expectations: tuple[dict[str, Any], ...] = ()
    """The expectations."""
    waivers: tuple[Waiver, ...] = ()
    """Accepted violations, each until a day."""


@dataclass(frozen=True)
class Policy:
    """A policy that was read and validated as a whole."""

    path: Path
    environment: str
    sha256: str
    """Of the policy file and, in order, of all files that it extends."""
    targets: Mapping[str, Target]
    """The targets of the policy, and inline targets of its expectations."""
    severities: Mapping[Severity, SeverityLevel]
    escalation: tuple[EscalationRule, ...]
    expectations: tuple[Expectation, ...]
    """In the policy's order."""
    waivers: Mapping[str, Waiver]
    """By the id of the expectation."""
    secrets: Secrets
    default_timeout: Duration
    notices: tuple[str, ...]
    """Notices about waivers that have expired or expire within 14 days."""
    sources: Mapping[str, Source]
    uses: tuple[UsedDistribution, ...] = ()
    """The installed distributions of its `uses`."""

    def source(self, name: str) -> Source:
        """The place of the expectation with this id. Raises KeyError."""
        return self.sources[name]
