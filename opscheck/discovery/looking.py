"""Sending the queries of a discovery, through the gathering that runs use."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from opscheck.core.discovery import ProposedTarget
from opscheck.core.findings import Observe
from opscheck.core.observation import Observation, Problem, ProblemKind
from opscheck.core.query import Query
from opscheck.core.redaction import Secrets
from opscheck.core.registry import Registry
from opscheck.core.target import Target
from opscheck.core.units import Duration
from opscheck.gathering.gatherer import Gatherer
from opscheck.gathering.observer import Observing
from opscheck.gathering.plan import Asked
from opscheck.policy.variables import Variables

_TIMEOUT = Duration.parse("5s")


class Looking:
    """The `Look` that systems are given. Without an answer, `not_usable` says so of a whole target."""

    def __init__(self, registry: Registry, environ: Mapping[str, str], secrets: Secrets) -> None:
        self._registry = registry
        self._variables = Variables(environ, secrets, (), keep_unset=True)
        self.not_usable: dict[str, Problem] = {}
        """Targets that no policy may have here: their client library is not installed, or a field is not valid."""

    def __call__(self, target: ProposedTarget | Target, queries: Iterable[Query[Any]]) -> Observe:
        """Send the queries together, and return their answers."""
        asked = list(dict.fromkeys(queries))
        built = target if isinstance(target, Target) else self._built(target)
        if isinstance(built, Problem):
            now = datetime.now(UTC)
            gathered: Mapping[Query[Any], Observation] = {
                query: Observation(taken_at=now, duration_s=0.0, problem=built) for query in asked
            }
        else:
            gathered = self._gathered(built, asked)
        return Observing(gathered, _not_asked, datetime.now(UTC))

    def expanded(self, value: Any) -> Any:
        """A value of a policy with its references replaced; those of variables that are not set stay."""
        if isinstance(value, str):
            return self._variables.expand(value).value
        if isinstance(value, Mapping):
            return {key: self.expanded(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.expanded(item) for item in value]
        return value

    def _gathered(self, target: Target, queries: list[Query[Any]]) -> Mapping[Query[Any], Observation]:
        gatherer = Gatherer({target.name: target}, registry=self._registry)
        try:
            timeout = float(target.timeout or _TIMEOUT)
            return gatherer.gather([Asked(query, query.time_limit_s or timeout) for query in queries])
        finally:
            gatherer.close()

    def _built(self, proposed: ProposedTarget) -> Target | Problem:
        unset = sorted(self._unset(proposed.fields))
        if unset:
            names = f"variable{'s' * (len(unset) > 1)} {', '.join(unset)}"
            return Problem(kind=ProblemKind.UNSUPPLIED, text=f"{names} not set", target_down=True)
        problem = self._cannot_be_built(proposed)
        kind = self._registry.target_type(str(proposed.fields["kind"]))
        if kind is None:
            raise LookupError(f"no system has targets of kind {proposed.fields['kind']}")
        if problem is None:
            try:
                return kind.model_validate(self.expanded(proposed.fields)).named(proposed.id)
            except ValidationError as error:
                fields = ", ".join(str(one["loc"][0]) for one in error.errors(include_input=False) if one["loc"])
                problem = Problem(kind=ProblemKind.UNSUPPORTED, text=f"invalid {fields or 'fields'}", target_down=True)
        self.not_usable[proposed.id] = problem
        return problem

    def _cannot_be_built(self, proposed: ProposedTarget) -> Problem | None:
        client = self._registry.client_of_kind(str(proposed.fields["kind"]))
        if client is None or not (missing := client.missing()):
            return None
        text = f"Python package {', '.join(missing)} not installed"
        advice = f"pip install '{client.install}'"
        return Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice, target_down=True)

    def _unset(self, value: Any) -> set[str]:
        if isinstance(value, str):
            return set(self._variables.expand(value).unset)
        items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
        return {name for item in items for name in self._unset(item)}


def _not_asked(query: Query[Any]) -> Observation:
    problem = Problem(kind=ProblemKind.UNSUPPLIED, text=f"{query.name} was not queried")
    return Observation(taken_at=datetime.now(UTC), duration_s=0.0, problem=problem)
