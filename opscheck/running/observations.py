"""The state of one run: policy, observations, and results."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from opscheck.core.expectation import Expectation
from opscheck.core.observation import CouldNotObserve, Observation, Problem, ProblemKind
from opscheck.core.query import Identity, Query
from opscheck.core.registry import Registry
from opscheck.core.verdicts import carriers, outage
from opscheck.gathering.gatherer import DEFAULT_DEADLINE_S, Gatherer, Progress
from opscheck.gathering.observer import Observing
from opscheck.gathering.plan import Asked, Questions, first_questions, plan, timeout_of
from opscheck.gathering.snapshot import Snapshot, write_snapshot
from opscheck.gathering.state_store import Memory
from opscheck.policy.models import Policy
from opscheck.running.samples import Remembering
from opscheck.running.settings import Settings

_NOT_GATHERED = Observation(
    taken_at=datetime.fromtimestamp(0, UTC),
    duration_s=0.0,
    problem=Problem(kind=ProblemKind.UNSUPPLIED, text="not gathered"),
)


class Observations:
    """Every observation of a run: from the targets, a snapshot, or another process."""

    def __init__(self, policy: Policy, registry: Registry, settings: Settings, snapshot: Snapshot | None) -> None:
        self.policy = policy
        self._registry = registry
        self._settings = settings
        self._snapshot = snapshot
        self.gathered: dict[Query[Any], Observation] = {}
        """All observations so far."""
        self._gatherer: Gatherer | None = None
        self._extra_time_s = 0.0
        self._after_answers = {
            name: function
            for name, target in policy.targets.items()
            if (function := registry.after_answers(target.kind)) is not None
        }
        self.remembering = Remembering(_memory(policy, settings))
        self.handed_over: Snapshot | None = None
        """Observations of another process of this run."""
        self.now = snapshot.taken_at if snapshot else datetime.now(UTC)
        self.carriers: dict[str, str] = {}
        """The expectation that reports each outage."""
        self.tellers: dict[str, str] = {}
        """The expectation that reports each object that explains others."""
        self.unwritten: list[str] = []
        """Problems while writing the observations."""

    def gather(self, selected: Iterable[Expectation], progress: Progress | None) -> None:
        """Send all queries of the selected expectations, and choose the expectation that reports each outage."""
        selected = list(selected)
        self._extra_time_s = sum(one.extra_time_s for one in selected if one.skip is None)
        questions = first_questions(selected)
        self._ask(questions, progress)
        further = [(one, self._follow_up(one)) for one, _ in questions]
        self._ask(further, progress)
        if self._snapshot is None:
            self.now = datetime.now(UTC)
        self.carriers = carriers(self._missing([*questions, *further]))

    def observing(self, expectation: Expectation) -> Observing:
        """`observe` for one check."""

        def fetch(query: Query[Any]) -> Observation:
            return self._fetch(query, timeout_of(expectation, query, self.policy.default_timeout))

        return Observing(self.gathered, fetch, self.now)

    def rehearsing(self) -> Observing:
        """`observe` for cause analysis: only gathered answers."""
        return Observing(self.gathered, lambda _: _NOT_GATHERED, self.now)

    def identities(self) -> dict[str, Identity]:
        """The identity that each target reported, by its name."""
        answers = ((query.target, one.answer) for query, one in self.gathered.items())
        return {target: answer for target, answer in answers if isinstance(answer, Identity)}

    def save(self) -> None:
        """Write the snapshot to the file of `--save`. Raises OSError."""
        if self._settings.save is not None:
            write_snapshot(
                self._settings.save,
                self.gathered,
                taken_at=self.now,
                environment=self.policy.environment,
                secrets=self.policy.secrets,
            )

    def close(self) -> None:
        """Close the targets."""
        if self._gatherer is not None:
            self._gatherer.close()

    def _fetch(self, query: Query[Any], timeout_s: float) -> Observation:
        observation = self.handed_over.get(query) if self.handed_over else None
        if observation is None and self._snapshot is not None:
            observation = self._snapshot.find(query)
        if observation is None:
            observation = self._kept(self._open().gather([Asked(query, timeout_s)]))[query]
        self.gathered[query] = observation
        return observation

    def _kept(self, observations: Mapping[Query[Any], Observation]) -> dict[Query[Any], Observation]:
        """These observations with their earlier samples; remembered ones are recorded."""
        for function in {self._after_answers[one.target] for one in observations if one.target in self._after_answers}:
            policy = self.policy
            self.unwritten += function(policy.targets, observations, policy.environment, policy.secrets)
        return self.remembering.recalled(observations)

    def _ask(self, questions: Iterable[Questions], progress: Progress | None) -> None:
        asked = [one for one in plan(questions, self.policy.default_timeout) if one.query not in self.gathered]
        if self._snapshot is not None:
            self.gathered |= {one.query: self._snapshot.find(one.query) for one in asked}
        elif asked:
            self.gathered |= self._kept(self._open().gather(asked, progress))

    def _follow_up(self, expectation: Expectation) -> tuple[Query[Any], ...]:
        try:
            return tuple(expectation.follow_up_queries(self.rehearsing()))
        except CouldNotObserve:  # its check raises it too, and reports it
            return ()

    def _open(self) -> Gatherer:
        if self._gatherer is None:
            self._gatherer = Gatherer(
                self.policy.targets,
                registry=self._registry,
                concurrency=self._settings.concurrency,
                deadline_s=float(self._settings.timeout or DEFAULT_DEADLINE_S + self._extra_time_s),
            )
        return self._gatherer

    def _missing(self, questions: Iterable[Questions]) -> Iterable[tuple[Expectation, str, Any]]:
        for expectation, queries in questions:
            aside = set(expectation.evidence_queries())
            for query in queries:
                if query in aside:
                    continue
                problem = self.gathered[query].problem
                place = outage(query, problem) if problem is not None else None
                if place is not None:
                    yield expectation, place, problem


def _memory(policy: Policy, settings: Settings) -> Memory | None:
    """The state file of the run; none for a snapshot, which has its own earlier samples and no new ones."""
    if settings.state is None or settings.snapshot is not None:
        return None
    return Memory(settings.state, policy.environment, policy.targets, policy.secrets)
