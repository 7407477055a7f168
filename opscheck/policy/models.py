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
    # `2026` is a number in YAML, and a lenient parser makes 1 January of it: a waiver that is over.
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
    """What a severity means, and how soon somebody must act."""

    name: Text
    """What people call it."""
    description: str = ""
    """What is at stake."""
    respond_within: Duration
    """How soon somebody must have answered."""
    escalate_after: Duration
    """How long an escalation step waits that does not say so itself."""


class Match(_Part):
    """Which findings an escalation rule is for. What is left out matches every one."""

    tag: Tag | None = None
    """Findings of expectations with this tag."""
    id: Identifier | None = None
    """Findings of this expectation."""
    severity: Severity | None = None
    """Findings of this severity."""


class EscalationStep(_Part):
    """One call."""

    after: Duration | None = None
    """How long after the finding; the severity's escalate_after by default."""
    notify: Text
    """Who is called."""


class EscalationRule(_Part):
    """Who is called for which findings. The first rule that matches counts."""

    match: Match = Match()
    """Which findings it is for."""
    steps: tuple[EscalationStep, ...] = Field(min_length=1)
    """Who is called, and when."""


class Waiver(_Part):
    """Somebody takes the responsibility for a violation until a day, for a reason."""

    id: Identifier
    """The expectation whose violations it waives."""
    reason: Text
    """Why, such as the change that mends it."""
    owner: Text
    """Who takes the responsibility."""
    expires: Day
    """The last day on which it counts, YYYY-MM-DD, until its end in UTC."""

    def expired(self, today: date) -> bool:
        """True when `today` (in UTC) is past its last day."""
        return today > self.expires


class Defaults(_Part):
    """What holds for every expectation that says nothing else."""

    timeout: Timeout | None = None
    """How long a question may take, where neither the expectation nor its target says so."""
    owner: Text | None = None
    """Who looks after it."""
    runbook: Text | None = None
    """Where the long answer stands."""
    tags: tuple[Tag, ...] | None = None
    """Words to select it by."""


class PolicyFile(_Part):
    """A policy of opscheck: what should be true of which target, and how bad it is when it is not."""

    version: Literal[1] = 1
    """The version of this language."""
    extends: Text | Annotated[list[Text], Field(min_length=1)] | None = None
    """A policy file, or several, that this one adds to. `opscheck:base.yaml` names one that ships with opscheck."""
    environment: Text | None = None
    """Which system this is about, such as production."""
    defaults: Defaults = Defaults()
    """What holds for every expectation that says nothing else."""
    uses: tuple[Text, ...] = ()
    """Installed distributions whose systems it uses beside the bundled ones, such as `opscheck-memcached>=0.1`."""
    public_variables: tuple[VariableName, ...] = ()
    """Environment variables whose values may be shown. The value of every other one is secret."""
    targets: dict[Identifier, dict[str, Any]] = {}
    """The systems that can be reached, each under the name that expectations call it by."""
    severities: dict[Severity, SeverityLevel] = {}
    """What P0 to P3 mean. What is not said here is as in opscheck:base.yaml."""
    escalation: tuple[EscalationRule, ...] = ()
    """Who is called for which findings, and when; the first rule that matches counts."""
    expectations: tuple[dict[str, Any], ...] = ()
    """What should be true."""
    waivers: tuple[Waiver, ...] = ()
    """Violations that somebody takes the responsibility for, until a day."""


@dataclass(frozen=True)
class Policy:
    """A policy that was read and checked as a whole."""

    path: Path
    environment: str
    sha256: str
    """Of the policy file and, in the order in which they are named, of all that it extends."""
    targets: Mapping[str, Target]
    """Those of the policy, and those that its expectations bring themselves."""
    severities: Mapping[Severity, SeverityLevel]
    escalation: tuple[EscalationRule, ...]
    expectations: tuple[Expectation, ...]
    """In the policy's order."""
    waivers: Mapping[str, Waiver]
    """By the id of the expectation."""
    secrets: Secrets
    default_timeout: Duration
    notices: tuple[str, ...]
    """Waivers that expire soon or have expired."""
    sources: Mapping[str, Source]
    uses: tuple[UsedDistribution, ...] = ()
    """Those of its `uses`, as they are installed."""

    def source(self, name: str) -> Source:
        """Where the expectation with this id stands. Raises KeyError."""
        return self.sources[name]
