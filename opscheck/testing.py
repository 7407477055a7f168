"""Judge a check against answers of your own choosing: no server, no pytest plugin, no policy file."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from opscheck.expectations.base import Expectation
from opscheck.judging import Findings
from opscheck.queries.base import Query
from opscheck.queries.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.targets import Target

E = TypeVar("E", bound=Expectation)
A = TypeVar("A")

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def expect(kind: type[E], target: Target | None = None, **fields: Any) -> E:
    """An expectation as a policy would make it: fields as YAML gives them, `id` and `check` filled in."""
    given = {"id": "expectation", "check": kind.check_name, **fields}
    if target is None:
        return kind.model_validate(given)
    return kind.model_validate(given | {"target": "target"}, context={"targets": {"target": target.named("target")}})


class Answers:
    """Stands in for gathering: an answer, or the problem in its place, for each query."""

    def __init__(self, answers: Mapping[Query[Any], Any] | Callable[[Query[Any]], Any], now: datetime) -> None:
        self._answers = answers
        self.now = now

    def __call__(self, query: Query[A]) -> A:
        """The answer to `query`. Raises CouldNotObserve for a Problem, KeyError for a query without an answer."""
        answer: Any = self._answers(query) if callable(self._answers) else self._answers[query]
        if isinstance(answer, Problem):
            raise CouldNotObserve(query, answer)
        return answer  # type: ignore[no-any-return]  # the caller chose it

    def aside(self, query: Query[A]) -> A | Problem:
        """The answer to `query`, or a Problem; nothing has to be chosen for what is mere evidence."""
        try:
            return self(query)
        except CouldNotObserve as error:
            return error.problem
        except KeyError:
            return Problem(kind=ProblemKind.UNSUPPLIED, text="no answer was chosen")


def judge(
    check: Callable[..., None],
    expectation: Expectation,
    answers: Mapping[Query[Any], Any] | Callable[[Query[Any]], Any],
    now: datetime = NOON,
) -> Findings:
    """Run `check` and return what it measured and found. CouldNotObserve comes through."""
    findings = Findings(expectation)
    check(expectation, observe=Answers(answers, now), findings=findings)
    return findings
