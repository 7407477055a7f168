"""The judgement of a finished check."""

from pathlib import Path

import pytest

from opscheck.core.observation import CouldNotObserve
from opscheck.core.record import Verdict
from opscheck.core.verdicts import (
    Judgement,
    assertion_failed,
    check_broke,
    deduplicated_by_cause,
    does_not_apply,
    not_observed,
    outage,
    passed_or_violated,
    read_nothing,
)
from opscheck.running.checks import Check
from opscheck.running.fixtures import EXPECTATION, FINDINGS, OBSERVING
from opscheck.running.observations import Observations


def conclude(item: pytest.Item, call: pytest.CallInfo[None], check: Check, state: Observations) -> Judgement:
    """The judgement of a finished check, given the observations of this run."""
    return deduplicated_by_cause(_judged(item, call, check, state), item.stash[EXPECTATION], state.tellers)


def _judged(item: pytest.Item, call: pytest.CallInfo[None], check: Check, state: Observations) -> Judgement:
    expectation, observing = item.stash[EXPECTATION], item.stash[OBSERVING]
    judgement = _ended(item, call, check, state)
    if observing.missing is not None and judgement.verdict in {Verdict.PASSED, Verdict.SKIPPED}:
        return _not_observed(item, observing.missing, state)
    if judgement.verdict is Verdict.PASSED and not observing.used and any(True for _ in expectation.queries()):
        return read_nothing(expectation, item.stash[FINDINGS])
    return judgement


def _ended(item: pytest.Item, call: pytest.CallInfo[None], check: Check, state: Observations) -> Judgement:
    expectation, findings = item.stash[EXPECTATION], item.stash[FINDINGS]
    if call.excinfo is None:
        return passed_or_violated(findings)
    error = call.excinfo.value
    if isinstance(error, CouldNotObserve):
        return _not_observed(item, error, state)
    # Only `importorskip` sets this inside a function: a package that the check needs is not installed.
    if isinstance(error, pytest.skip.Exception) and not error.allow_module_level:
        return does_not_apply(str(error.msg))
    if call.when == "call" and isinstance(error, AssertionError | pytest.fail.Exception):
        return assertion_failed(expectation, _first_line(error), check.claim, findings)
    place = call.excinfo.traceback[-1]
    return check_broke(expectation, error, f"{Path(place.path).name}:{place.lineno + 1}", findings)


def _not_observed(item: pytest.Item, missing: CouldNotObserve, state: Observations) -> Judgement:
    place = outage(missing.query, missing.problem)
    carrier = state.carriers.get(place) if place is not None else None
    return not_observed(item.stash[EXPECTATION], missing, item.stash[FINDINGS], carrier)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
