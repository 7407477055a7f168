"""The end of a run: its record, its exit code, its files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from opscheck.core.exit_codes import ExitCode
from opscheck.core.query import Identity
from opscheck.core.record import GateNote, PolicyNote, Result, Run, TargetNote, encode
from opscheck.core.verdicts import Gate, count
from opscheck.policy.models import Policy
from opscheck.transport.files import write_whole


def record(  # noqa: PLR0913 - all that a record is made of, by name
    policy: Policy,
    gate: Gate,
    selected: Iterable[str],
    results: Mapping[str, Result],
    *,
    started_at: datetime,
    observed_at: datetime,
    identities: Mapping[str, Identity],
    stopped: ExitCode | None,
    strangers_failed: Sequence[str],
) -> Run:
    """The record of a run. `stopped` is why it ended early; `strangers_failed` are what failed beside the checks."""
    chosen = set(selected)
    reported = tuple(results[one.id] for one in policy.expectations if one.id in results and one.id in chosen)
    counts = count(len(chosen), reported)
    exit_code = stopped or gate.exit_code(reported, counts)
    if exit_code in {ExitCode.OPEN, ExitCode.UNKNOWN} and strangers_failed:
        exit_code = ExitCode.CLOSED
    warnings = (f"{name}: {identity.warning}" for name, identity in identities.items() if identity.warning)
    failed = (f"failed: {what}" for what in strangers_failed)
    notices = [*policy.notices, *_lost(policy, chosen, reported), *warnings, *failed]
    finished_at = datetime.now(UTC)
    return Run(
        environment=policy.secrets.clean(policy.environment),
        policy=PolicyNote(path=str(policy.path), sha256=policy.sha256, uses=policy.uses or msgspec.UNSET),
        started_at=started_at,
        finished_at=finished_at,
        duration_s=round((finished_at - started_at).total_seconds(), 3),
        observed_at=observed_at,
        gate=GateNote(fail_on=str(gate), open=exit_code is ExitCode.OPEN, exit_code=int(exit_code)),
        counts=counts,
        targets=tuple(policy.secrets.clean_value(note) for note in _targets(policy, reported, identities)),
        notices=tuple(policy.secrets.clean(notice) for notice in notices),
        results=reported,
    )


def _targets(policy: Policy, reported: Iterable[Result], identities: Mapping[str, Identity]) -> Iterator[TargetNote]:
    """What was asked, in the policy's order: a verdict says little about nobody knows which system."""
    asked = {result.target for result in reported}
    for name, target in policy.targets.items():
        if policy.secrets.clean(name) not in asked:
            continue
        said = identities.get(name) or Identity(place="")
        yield TargetNote(
            name=name,
            kind=target.kind,
            address=target.address,
            place=said.place,
            user=said.user,
            groups=said.groups,
            authenticated_by=said.authenticated_by,
        )


def _lost(policy: Policy, chosen: set[str], reported: Iterable[Result]) -> list[str]:
    """A sentence that names what has no verdict."""
    lost = chosen - {result.id for result in reported}
    names = ", ".join(one.id for one in policy.expectations if one.id in lost)
    return [f"no verdict of {names}: the run ended before, or what was to judge it went away"] if lost else []


def write_record(path: Path, run: Run) -> None:
    """Write `run.json`. Raises OSError."""
    write_whole(path, encode(run))
