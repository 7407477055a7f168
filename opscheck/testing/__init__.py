"""Run a check on chosen answers, without a server, a pytest plugin or a policy file."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from opscheck.core.expectation import Expectation
from opscheck.core.findings import Findings, Observe
from opscheck.core.observation import NO_STATE_FILE, CouldNotObserve, Observation, Problem, ProblemKind, Sample
from opscheck.core.query import Query
from opscheck.core.target import Target
from opscheck.core.templates import missing_facts

__all__ = ["NOON", "Answers", "expect", "judge"]

E = TypeVar("E", bound=Expectation)
A = TypeVar("A")

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def expect(kind: type[E], target: Target | None = None, **fields: Any) -> E:
    """An expectation as a policy creates it: fields as in YAML, with `id` and `check` filled in."""
    given = {"id": "expectation", "check": kind.check_name, **fields}
    if target is None:
        return kind.model_validate(given)
    return kind.model_validate(given | {"target": "target"}, context={"targets": {"target": target.named("target")}})


class Answers(Observe):
    """A replacement for gathering: an answer, or a problem, for each query."""

    def __init__(
        self,
        answers: Mapping[Query[Any], Any] | Callable[[Query[Any]], Any],
        now: datetime,
        earlier: Mapping[Query[Any], Sequence[Sample[Any]]] | None = None,
    ) -> None:
        self._answers = answers
        self._earlier = earlier
        self.now = now

    def __call__(self, query: Query[A]) -> A:
        """The answer to `query`. Raises CouldNotObserve for a Problem, KeyError for a query without an answer."""
        answer: Any = self._answers(query) if callable(self._answers) else self._answers[query]
        if isinstance(answer, Problem):
            raise CouldNotObserve(query, answer)
        return answer  # type: ignore[no-any-return]  # the caller chose it

    def observation(self, query: Query[Any]) -> Observation:
        """
        The answer to `query`, taken now; without `earlier`, as in a run without a state file.

        A query for evidence needs no chosen answer.
        """
        answer, problem = None, None
        try:
            answer = self(query)
        except CouldNotObserve as error:
            problem = error.problem
        except KeyError:
            problem = Problem(kind=ProblemKind.UNSUPPLIED, text="no answer was chosen")
        return Observation(
            taken_at=self.now,
            duration_s=0.0,
            answer=answer,
            problem=problem,
            earlier=tuple((self._earlier or {}).get(query, ())),
            forgotten=NO_STATE_FILE if self._earlier is None else "",
        )


def judge(
    check: Callable[..., None],
    expectation: Expectation,
    answers: Mapping[Query[Any], Any] | Callable[[Query[Any]], Any],
    now: datetime = NOON,
    earlier: Mapping[Query[Any], Sequence[Sample[Any]]] | None = None,
) -> Findings:
    """
    Run `check` and return its measurements and findings. CouldNotObserve is not caught.

    Raises LookupError for a finding whose command has a name without a value.

    `earlier` are the answers of earlier runs, oldest first; None means a run without a state file.
    """
    findings = Findings(expectation)
    check(expectation, observe=Answers(answers, now, earlier), findings=findings)
    for finding in findings.violations:
        if missing := missing_facts(finding, expectation):
            raise LookupError(f"{finding.subject}: missing facts of its remedies: {', '.join(sorted(missing))}")
    return findings
