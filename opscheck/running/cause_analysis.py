"""Cause analysis, before the first report: the objects whose findings explain others."""

import inspect
from collections.abc import Iterable, Iterator
from contextlib import suppress

import pytest

from opscheck.core.findings import Findings
from opscheck.core.record import Finding
from opscheck.core.verdicts import tellers
from opscheck.running.checks import bound_check
from opscheck.running.fixtures import EXPECTATION
from opscheck.running.observations import Observations


def rehearse(items: Iterable[pytest.Item], state: Observations) -> dict[str, str]:
    """
    The expectation that reports each object: its reference to an expectation id.

    Judging is pure, so the findings of a check are known from the gathered answers. A finding that is waived
    explains nothing: who waives a node has not waived what is wrong with its pods.
    """
    return tellers(_found(items, state))


def _found(items: Iterable[pytest.Item], state: Observations) -> Iterator[tuple[str, Finding]]:
    for item in items:
        expectation = item.stash.get(EXPECTATION, None)
        if expectation is None or not expectation.explains_others or expectation.skip is not None:
            continue
        waiver = state.policy.waivers.get(expectation.id)
        if waiver is None or waiver.expired(state.now.date()):
            for finding in _findings(item, state):
                yield expectation.id, finding


def _findings(item: pytest.Item, state: Observations) -> list[Finding]:
    function = item.function  # type: ignore[attr-defined]  # an item with an expectation is a function
    check, expectation = bound_check(function), item.stash[EXPECTATION]
    if check is None or not set(inspect.signature(function).parameters) <= {check.argument, "observe", "findings"}:
        return []  # it needs fixtures, which only pytest provides
    findings = Findings(expectation)
    given = {check.argument: expectation, "observe": state.rehearsing(), "findings": findings}
    with suppress(Exception):  # it raises again when it is reported; earlier findings count
        function(**{name: given[name] for name in inspect.signature(function).parameters})
    return findings.violations
