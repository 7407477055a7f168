"""A check that looks at a real server, without pytest's plugin and without a policy file."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest

from opscheck.core.expectation import Expectation
from opscheck.core.findings import Findings
from opscheck.core.observation import CouldNotObserve, ProbeError, Problem, Sample
from opscheck.core.query import Query
from opscheck.core.system import Session
from opscheck.core.target import Target
from opscheck.testing import expect, judge
from tests.registries import BUNDLED
from tests.registries import answer as ask


def look(
    check: Callable[..., None],
    kind: type[Expectation],
    target: Target,
    *,
    earlier: Mapping[Query[Any], Sequence[Sample]] | None = None,
    now: datetime | None = None,
    **fields: Any,
) -> Findings:
    """What `check` finds at `target` for an expectation with these fields. CouldNotObserve comes through."""
    expectation = expect(kind, target, **fields)
    session = BUNDLED.probe(target.kind).open_session(target.named("target"), 10)
    with closing(session):
        answers = answers_of(session)
        return judge(check, expectation, answers, now or datetime.now(UTC), earlier=earlier or {})


def answers_of(session: Session) -> Callable[[Query[Any]], Any]:
    """Answers a query by asking, with the problem in the place of an answer that there is none."""

    def answer(query: Query[Any]) -> Any:
        try:
            return ask(session, query, 10)
        except ProbeError as error:
            return error.problem

    return answer


def missing(call: Callable[[], object]) -> Problem:
    """Why `call` could not observe what it should judge."""
    with pytest.raises(CouldNotObserve) as raised:
        call()
    return raised.value.problem
