"""The record of one run: plain, frozen data that every report is written from."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from opscheck.core.units import Severity

RUN_SCHEMA = "opscheck.run/v1"


class Verdict(StrEnum):
    """What a run says of one expectation."""

    PASSED = "passed"
    VIOLATED = "violated"
    UNKNOWN = "unknown"
    WAIVED = "waived"
    SKIPPED = "skipped"


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """One observed number and the limit it is held to; recorded when the expectation passes too."""

    name: Annotated[str, Meta(description="What was measured.")]
    value: Annotated[float, Meta(description="The number, in `unit`.")]
    unit: Annotated[str, Meta(description="s, %, B, or a plain word; empty for a bare count.")] = ""
    limit: Annotated[float | None, Meta(description="The limit it is held to, in the same unit.")] = None
    margin: Annotated[float | None, Meta(description="How far it is on the right side; negative when violated.")] = None
    subject: Annotated[str, Meta(description="What was measured on.")] = ""


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """What to do about a finding."""

    summary: Annotated[str, Meta(description="One sentence.")] = ""
    commands: Annotated[tuple[str, ...], Meta(description="Shell commands, values quoted, secrets left out.")] = ()
    runbook: Annotated[str | None, Meta(description="Where the long answer stands.")] = None


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the escalation."""

    at: Annotated[datetime, Meta(description="When this person or team is called if nobody has answered.")]
    notify: Annotated[str, Meta(description="Who is called.")]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One subject that violates the expectation."""

    subject: Annotated[str, Meta(description="The pod, path, mount or server it is about.")]
    severity: Annotated[Severity, Meta(description="How bad it is.")]
    observed: Annotated[str, Meta(description="What was seen.")]
    expected: Annotated[str, Meta(description="What should have been seen.")]
    since: Annotated[datetime | None, Meta(description="Since when, where the target says so.")] = None
    evidence: Annotated[tuple[str, ...], Meta(description="Lines that help to understand it.")] = ()
    remediation: Advice = Advice()
    respond_by: Annotated[datetime | None, Meta(description="By when somebody must have answered.")] = None
    escalate: tuple[Call, ...] = ()
    facts: Annotated[dict[str, str], Meta(description="What remediation commands may name.")] = {}
    about: Annotated[str, Meta(description="The object it is about, such as cluster/shop/deployment/api.")] = ""
    because: Annotated[
        tuple[str, ...], Meta(description="Objects that would explain it, had another expectation a finding on them.")
    ] = ()


class Consequence(msgspec.Struct, frozen=True, kw_only=True):
    """A violation that another expectation's finding explains, and that is reported there."""

    subject: Annotated[str, Meta(description="What suffers.")]
    severity: Annotated[Severity, Meta(description="How bad it is.")]
    observed: Annotated[str, Meta(description="What was seen.")]
    of: Annotated[str, Meta(description="The object that explains it.")]
    told_by: Annotated[str, Meta(description="The id of the expectation that has the finding about that object.")]


class TargetNote(msgspec.Struct, frozen=True, kw_only=True):
    """Which system a target's name stood for in this run."""

    name: str
    kind: str
    address: Annotated[str, Meta(description="Where the policy says it is, without credentials.")] = ""
    place: Annotated[str, Meta(description="Where it was found.")] = ""
    user: Annotated[str, Meta(description="Whom it took opscheck for.")] = ""
    groups: tuple[str, ...] = ()
    authenticated_by: Annotated[str, Meta(description="How opscheck authenticated; never the credential.")] = ""


class WaiverNote(msgspec.Struct, frozen=True, kw_only=True):
    """Who took the responsibility for a violation, why, and until when."""

    reason: str
    owner: str
    expires: Annotated[str, Meta(description="The last day on which it counts, YYYY-MM-DD.")]
    expired: bool = False


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where the expectation stands in the policy."""

    file: str
    line: int


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What the run says of one expectation."""

    id: str
    check: str
    title: str
    target: str | None = None
    tags: tuple[str, ...] = ()
    owner: str | None = None
    severity: Annotated[
        Severity | None,
        Meta(description="The worst finding's; of what could not be observed, the expectation's."),
    ] = None
    verdict: Verdict
    advisory: Annotated[bool, Meta(description="True when it is violated or unknown below the gate.")] = False
    summary: Annotated[str, Meta(description="One line a person can act on.")] = ""
    measurements: tuple[Measurement, ...] = ()
    findings: tuple[Finding, ...] = ()
    consequences: Annotated[
        tuple[Consequence, ...], Meta(description="What is wrong too, but is told by another expectation.")
    ] = ()
    respond_by: Annotated[
        datetime | None,
        Meta(description="By when somebody must have answered: its worst finding, or that it is unknown."),
    ] = None
    escalate: Annotated[tuple[Call, ...], Meta(description="Who is called for it, and when.")] = ()
    runbook: Annotated[str | None, Meta(description="Where the long answer stands.")] = None
    waiver: WaiverNote | None = None
    blocked_by: Annotated[
        str | None,
        Meta(description="The expectation that carries the outage, or tells the cause, that this one suffers from."),
    ] = None
    observed_at: Annotated[datetime | None, Meta(description="When its oldest observation was taken.")] = None
    duration_s: Annotated[float, Meta(description="How long its slowest query took, in seconds.")] = 0.0
    source: Source | None = None


class UsedDistribution(msgspec.Struct, frozen=True, kw_only=True):
    """A distribution that the policy uses, as it was installed in this run."""

    name: str
    version: str


class PolicyNote(msgspec.Struct, frozen=True, kw_only=True):
    """Which policy was run."""

    path: str
    sha256: Annotated[str, Meta(description="Of the policy file and, in order, of all it extends.")]
    uses: Annotated[
        tuple[UsedDistribution, ...] | msgspec.UnsetType,
        Meta(description="The distributions that it uses beside opscheck; left out where there are none."),
    ] = msgspec.UNSET


class GateNote(msgspec.Struct, frozen=True, kw_only=True):
    """What the run decided."""

    fail_on: Annotated[str, Meta(description="P0 to P3, or never.")]
    open: bool
    exit_code: int


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How many expectations were selected, and what became of them."""

    declared: int = 0
    reported: int = 0
    passed: int = 0
    violated: int = 0
    unknown: int = 0
    waived: int = 0
    skipped: int = 0


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one policy."""

    schema: str = RUN_SCHEMA
    environment: str
    policy: PolicyNote
    started_at: datetime
    finished_at: datetime
    duration_s: float
    observed_at: Annotated[datetime | None, Meta(description="The time that judging used as now.")] = None
    gate: GateNote
    counts: Counts
    targets: Annotated[tuple[TargetNote, ...], Meta(description="What was asked, and as whom.")] = ()
    notices: Annotated[
        tuple[str, ...], Meta(description="Waivers that expire soon or have expired, and the like.")
    ] = ()
    results: tuple[Result, ...] = ()


def encode(record: Any) -> bytes:
    """A record as indented JSON with a newline at its end."""
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"
