"""The output of `opscheck init`."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from opscheck.core.escaping import visible
from opscheck.core.record import Result
from opscheck.core.words import counted
from opscheck.discovery.drafting import values_of
from opscheck.discovery.initialising import Mode, Outcome

SCHEMA = "opscheck.init/v1"

NOTHING_FOUND = """\
opscheck: nothing found; no file was written
Set a variable such as DATABASE_URL, REDIS_URL or API_URL, or name a source:
  --compose FILE     the services of a compose file
  --namespace NAME   a namespace of a Kubernetes cluster
x lists what can be checked."""


def as_text(outcome: Outcome) -> str:
    """The written entries, the current violations, and the next commands."""
    return "\n".join(line for part in _parts(outcome) for line in part)


def not_seen_text(outcome: Outcome) -> str:
    """Parts that could not be looked at, and why; empty where all could."""
    lines = [f"  {visible(sentence)}" for sentence in outcome.not_seen]
    return "\n".join(["Not looked at:", *lines]) if lines else ""


def as_json(outcome: Outcome) -> str:
    """The same as one JSON document."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "mode": str(outcome.mode),
        "file": "-" if outcome.mode is Mode.PRINT else str(outcome.file),
        "targets": [{"id": one.id, **one.fields} for one in outcome.draft.targets],
        "expectations": [{**values_of(one), "reason": one.reason} for one in outcome.draft.proposals],
        "covered": dict(outcome.draft.covered),
        "declined": list(outcome.draft.declined),
        "not_seen": list(outcome.not_seen),
        "unset": list(outcome.unset),
        "waived": list(outcome.waived),
    }
    if outcome.trial is not None:
        document["violated"] = [_shown(one) for one in outcome.trial.violated]
        document["unknown"] = [_shown(one) for one in outcome.trial.unknown]
        document["not_run"] = outcome.trial.failed
    if outcome.mode is Mode.DIFF:
        document["diff"] = outcome.diff
    if outcome.mode is Mode.PRINT:
        document["policy"] = outcome.after
    return json.dumps(document, indent=2, ensure_ascii=False)


def _parts(outcome: Outcome) -> Iterator[list[str]]:
    draft, file = outcome.draft, "standard output" if outcome.mode is Mode.PRINT else outcome.file
    if draft.proposals:
        did = "wrote" if outcome.mode in {Mode.NEW, Mode.ADD} else "proposed"
        targets = f"{counted(len(draft.targets), 'target')} and " if draft.targets else ""
        width = max(len(one.id) for one in draft.proposals)
        yield [f"{file}: {did} {targets}{counted(len(draft.proposals), 'expectation')}"]
        yield [f"  {one.id.ljust(width)}  {one.check}" for one in draft.proposals]
    else:
        yield [f"{file}: nothing new"]
    if draft.covered:
        yield [f"already there: {', '.join(sorted(set(draft.covered.values())))}"]
    if draft.declined:
        yield [f"declined by a comment: {', '.join(draft.declined)}"]
    if outcome.trial is not None:
        yield from _trial(outcome)
    if outcome.mode in {Mode.NEW, Mode.ADD} and draft.proposals:
        exports = [f"  export {name}=…  # the comment in {file} has an example" for name in outcome.unset]
        yield ["", "Next:", *exports, f"  opscheck validate {file}", f"  opscheck run -p {file}"]


def _trial(outcome: Outcome) -> Iterator[list[str]]:
    trial = outcome.trial
    assert trial is not None  # noqa: S101 - for the type checker; the caller asked
    if trial.failed and outcome.unset:
        yield ["", f"Not run yet: {', '.join(outcome.unset)} not set."]
        return
    if trial.failed:
        yield ["", "The policy could not be run yet:", *(f"  {visible(line)}" for line in trial.failed.splitlines())]
        return
    waived = set(outcome.waived)
    yield _section("Violated now:", (one for one in trial.violated if one.id not in waived))
    yield _section("Waived:", (one for one in trial.violated if one.id in waived))
    yield _section("Could not be evaluated now:", trial.unknown)
    if not (trial.violated or trial.unknown):
        yield ["", f"All {counted(len(trial.results), 'expectation')} passed."]


def _section(title: str, results: Iterable[Result]) -> list[str]:
    lines = [f"  {one.severity} {one.id}: {visible(one.summary)}" for one in results]
    return ["", title, *lines] if lines else []


def _shown(result: Result) -> dict[str, Any]:
    return {"id": result.id, "severity": str(result.severity), "summary": result.summary}
