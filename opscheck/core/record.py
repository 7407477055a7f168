"""The record of one run: plain, frozen data that every report is written from."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from opscheck.core.units import Severity

RUN_SCHEMA = "opscheck.run/v1"


class Verdict(StrEnum):
    """The verdict of one expectation."""

    PASSED = "passed"
    VIOLATED = "violated"
    UNKNOWN = "unknown"
    WAIVED = "waived"
    SKIPPED = "skipped"


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """One observed number and the limit it is held to; recorded when the expectation passes too."""

    name: Annotated[str, Meta(description="Name of the measured value.")]
    value: Annotated[float, Meta(description="The number, in `unit`.")]
    unit: Annotated[str, Meta(description="s, %, B, or a plain word; empty for a bare count.")] = ""
    limit: Annotated[float | None, Meta(description="The limit it is held to, in the same unit.")] = None
    margin: Annotated[float | None, Meta(description="Distance to the limit; negative when violated.")] = None
    subject: Annotated[str, Meta(description="The pod, path, mount or server that was measured.")] = ""


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """The remedy of a finding."""

    summary: Annotated[str, Meta(description="One sentence.")] = ""
    commands: Annotated[tuple[str, ...], Meta(description="Shell commands, values quoted, secrets left out.")] = ()
    runbook: Annotated[str | None, Meta(description="URL of the runbook.")] = None


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the escalation."""

    at: Annotated[datetime, Meta(description="When this person or team is due, without a response until then.")]
    notify: Annotated[str, Meta(description="The person or team.")]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One subject that violates the expectation."""

    subject: Annotated[str, Meta(description="The pod, path, mount or server it is about.")]
    severity: Annotated[Severity, Meta(description="Severity, P0 (worst) to P3.")]
    observed: Annotated[str, Meta(description="The observed state.")]
    expected: Annotated[str, Meta(description="The expected state.")]
    since: Annotated[datetime | None, Meta(description="Start of this state, if the target reports it.")] = None
    evidence: Annotated[tuple[str, ...], Meta(description="Lines that help to find the cause.")] = ()
    remediation: Advice = Advice()
    respond_by: Annotated[datetime | None, Meta(description="Response deadline.")] = None
    escalate: tuple[Call, ...] = ()
    facts: Annotated[dict[str, str], Meta(description="Values that remediation commands may name.")] = {}
    about: Annotated[str, Meta(description="The object it is about, such as cluster/shop/deployment/api.")] = ""
    because: Annotated[
        tuple[str, ...], Meta(description="Objects whose finding in another expectation explains it.")
    ] = ()


class Consequence(msgspec.Struct, frozen=True, kw_only=True):
    """A violation that another expectation's finding explains; it is reported there."""

    subject: Annotated[str, Meta(description="The affected pod, path, mount or server.")]
    severity: Annotated[Severity, Meta(description="Severity, P0 (worst) to P3.")]
    observed: Annotated[str, Meta(description="The observed state.")]
    of: Annotated[str, Meta(description="The object that explains it.")]
    told_by: Annotated[str, Meta(description="Id of the expectation with the finding about that object.")]


class TargetNote(msgspec.Struct, frozen=True, kw_only=True):
    """The system behind a target's name in this run."""

    name: str
    kind: str
    address: Annotated[str, Meta(description="Address in the policy, without credentials.")] = ""
    place: Annotated[str, Meta(description="The server that answered.")] = ""
    user: Annotated[str, Meta(description="User name of opscheck there.")] = ""
    groups: tuple[str, ...] = ()
    authenticated_by: Annotated[str, Meta(description="Authentication method; never the credential.")] = ""


class WaiverNote(msgspec.Struct, frozen=True, kw_only=True):
    """A waiver: who accepts the violation, why, and until when."""

    reason: str
    owner: str
    expires: Annotated[str, Meta(description="Last day on which it is valid, YYYY-MM-DD.")]
    expired: bool = False


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The expectation's line in the policy."""

    file: str
    line: int


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one expectation."""

    id: str
    check: str
    title: str
    target: str | None = None
    tags: tuple[str, ...] = ()
    owner: str | None = None
    severity: Annotated[
        Severity | None,
        Meta(description="That of the worst finding; when unknown, that of the expectation."),
    ] = None
    verdict: Verdict
    advisory: Annotated[bool, Meta(description="True when it is violated or unknown below the gate.")] = False
    summary: Annotated[str, Meta(description="The result in one line.")] = ""
    measurements: tuple[Measurement, ...] = ()
    findings: tuple[Finding, ...] = ()
    consequences: Annotated[
        tuple[Consequence, ...], Meta(description="Violations that are reported under another expectation.")
    ] = ()
    respond_by: Annotated[
        datetime | None,
        Meta(description="Response deadline of its worst finding, or of `unknown`."),
    ] = None
    escalate: Annotated[tuple[Call, ...], Meta(description="Escalation: who is notified, and when.")] = ()
    runbook: Annotated[str | None, Meta(description="URL of the runbook.")] = None
    waiver: WaiverNote | None = None
    blocked_by: Annotated[
        str | None,
        Meta(description="Id of the expectation that reports the outage or the cause."),
    ] = None
    observed_at: Annotated[datetime | None, Meta(description="Time of its oldest observation.")] = None
    duration_s: Annotated[float, Meta(description="Duration of its slowest query, in seconds.")] = 0.0
    source: Source | None = None


class UsedDistribution(msgspec.Struct, frozen=True, kw_only=True):
    """A distribution that the policy uses, with its installed version."""

    name: str
    version: str


class PolicyNote(msgspec.Struct, frozen=True, kw_only=True):
    """The policy of the run."""

    path: str
    sha256: Annotated[str, Meta(description="Of the policy file and, in order, of all files that it extends.")]
    uses: Annotated[
        tuple[UsedDistribution, ...] | msgspec.UnsetType,
        Meta(description="Distributions that it uses in addition to opscheck; left out without any."),
    ] = msgspec.UNSET


class GateNote(msgspec.Struct, frozen=True, kw_only=True):
    """The gate and its exit code."""

    fail_on: Annotated[str, Meta(description="P0 to P3, or never.")]
    open: bool
    exit_code: int


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """The number of selected expectations, and of each verdict."""

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
    observed_at: Annotated[datetime | None, Meta(description="The time that checks used as now.")] = None
    gate: GateNote
    counts: Counts
    targets: Annotated[tuple[TargetNote, ...], Meta(description="The queried systems, and the user there.")] = ()
    notices: Annotated[
        tuple[str, ...], Meta(description="Notices, such as waivers that have expired or expire within days.")
    ] = ()
    results: tuple[Result, ...] = ()


def encode(record: Any) -> bytes:
    """A record as indented JSON with a newline at its end."""
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"
