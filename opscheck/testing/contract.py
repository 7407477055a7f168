"""
The contract of a system, as tests: inherit `SystemContract` in a test module and name your system.

    class TestContract(SystemContract):
        system = SYSTEM
        expectations = (expect(Memory, MemcachedTarget(kind="memcached", host="cache"), used={"P1": "90%"}),)

        @classmethod
        def targets(cls, port):
            return [MemcachedTarget(kind="memcached", host="127.0.0.1", port=port)]
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from inspect import signature
from pathlib import Path
from typing import Any, ClassVar, get_args

import msgspec
import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from opscheck.core.expectation import Expectation
from opscheck.core.field_docs import field_docs
from opscheck.core.observation import CouldNotObserve, Observation, ProbeError, Problem, ProblemKind
from opscheck.core.query import Query
from opscheck.core.redaction import Secrets
from opscheck.core.registry import Registry
from opscheck.core.system import System
from opscheck.core.target import Target
from opscheck.gathering.snapshot import read_snapshot, write_snapshot
from opscheck.running.checks import Check, bound_check
from opscheck.testing import judge
from opscheck.testing.servers import HTML, answering, dripping, refusing, silent

SECRET = "planted-7f3e9c"  # noqa: S105 - it must never be printed
"""Plant it in the credentials of `targets`."""
DEADLINE_S = 0.5
"""Time limit of each query to a misbehaving server."""
SLACK_S = 1.0
"""Additional time that a busy machine may take."""
NAME = "target"
"""The name that `expect` gives to the target of an expectation."""

Servers = Mapping[str, Callable[[], AbstractContextManager[int]]]
STAND_INS: Servers = {
    "refuses": refusing,
    "never answers": silent,
    "drips": dripping,
    "answers nonsense": answering,
    "answers HTML": lambda: answering(HTML),
}
_PROBLEM = Problem(kind=ProblemKind.UNREACHABLE, text="the server is away")


class SystemContract:
    """The rules of a system. pytest collects a subclass whose name begins with `Test`."""

    system: ClassVar[System]
    """The descriptor."""
    expectations: ClassVar[Sequence[Expectation]] = ()
    """At least one of each check, created by `opscheck.testing.expect`."""
    answers: ClassVar[Mapping[Query[Any], Any]] = {}
    """Queries with a possible answer of a server."""

    @classmethod
    def targets(cls, port: int) -> Iterable[Target]:  # noqa: ARG003 - for subclasses
        """A target of each kind that is reached over TCP, at `port` of 127.0.0.1, with SECRET in its credentials."""
        return ()

    @classmethod
    def running(cls) -> AbstractContextManager[Target | None]:
        """A target that is a real server and answers every query of `expectations`; None without one."""
        return nullcontext()

    def __init_subclass__(cls, **options: Any) -> None:
        """Leave out the tests for which the subclass has no data, instead of skipping them."""
        super().__init_subclass__(**options)
        if not hasattr(cls, "system"):  # a base of others
            return
        nothing_for = {
            "check_name": not cls.system.expectations,
            "expectation": not cls.expectations,
            "sample": not cls.answers,
            "model": not (cls.system.expectations or cls.system.kinds),
            "place": not list(cls.targets(1)),
            "server": cls.running.__func__ is SystemContract.running.__func__,  # type: ignore[attr-defined]
        }
        for name, parameters in _TESTS.items():
            if any(nothing_for[parameter] for parameter in parameters if parameter in nothing_for):
                setattr(cls, name, None)  # pytest collects no test of this name then

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One test per check, query, model and simulated server."""
        parameters: dict[str, dict[str, Any]] = {
            "check_name": {name: name for name in self.system.expectations},
            "expectation": {f"{one.check}-{one.id}": one for one in self.expectations},
            "sample": {query.text(): (query, answer) for query, answer in self.answers.items()},
            "model": {model.__qualname__: model for model in self._models()},
            "stand_in": dict(STAND_INS),
            "place": {kind: place for place, kind in enumerate(target.kind for target in self.targets(1))},
        }
        for name, values in parameters.items():
            if name in metafunc.fixturenames:
                metafunc.parametrize(name, list(values.values()), ids=list(values))

    # -- the descriptor ------------------------------------------------------------------------------------------

    def test_descriptor_names_exist(self) -> None:
        """Every `module:name` of the descriptor can be imported, and permissions print text with a comment syntax."""
        known = self._registry()
        for kind, declared in self.system.kinds.items():
            assert callable(known.probe(kind).open_session), f"{declared.probe} has no open_session"
            found = known.target_type(kind)
            assert declared.inline or (found is not None and found.own_kind == kind), f"{declared.target}: {found}"
            if (renderer := known.permissions(kind)) is not None:
                assert callable(renderer.render), f"{declared.permissions} has no render"
                assert isinstance(getattr(renderer, "COMMENT", "#"), str)
        for check in self.system.expectations:
            found_check = known.expectation_type(check)
            assert found_check is not None
            assert found_check.check_name == check, f"{found_check.__qualname__} judges {found_check.check_name}"

    def test_check_has_a_function_a_claim_and_a_reason(self, check_name: str) -> None:
        """Each check has a function whose docstring has the claim and the reason."""
        check, _ = self._functions().get(check_name, (None, None))
        assert check is not None, f"no function in {self.system.checks} judges {check_name}"
        assert check.claim, f"{check.file}:{check.line}: no docstring with the claim in its first line"
        assert check.reason, f"{check.file}:{check.line}: no second paragraph with the damage when the claim is false"

    def test_check_has_a_sample(self, check_name: str) -> None:
        """Each check has a sample expectation."""
        assert check_name in {one.check for one in self.expectations}, f"`expectations` has no {check_name}"

    def test_field_has_a_description(self, model: type[BaseModel]) -> None:
        """Each field of a target or an expectation has a text below it, for `schema` and `explain`."""
        texts = field_docs(model)
        described = {name for name, field in model.model_fields.items() if field.description or _names_target(field)}
        bare = sorted(set(model.model_fields) - set(texts) - described)
        assert not bare, f"{model.__qualname__}: no text under the fields {', '.join(bare)}"

    # -- queries -------------------------------------------------------------------------------------------------

    def test_query_survives_serialisation(self, expectation: Expectation, tmp_path: Path) -> None:
        """A query is hashable, contains no secret, and survives a snapshot."""
        queries = _queries(expectation)
        for query in queries:
            assert type(query).name, f"{type(query).__qualname__} has no name"
            msgspec.json.Decoder(type(query).answer)  # TypeError if such an answer cannot be decoded
        file, now = tmp_path / "snapshot.json", datetime.now(UTC)
        observed = {query: Observation(taken_at=now, duration_s=0.0, problem=_PROBLEM) for query in queries}
        write_snapshot(file, observed, taken_at=now, environment="", secrets=Secrets())
        snapshot = read_snapshot(file, Secrets())
        lost = [
            query.text() for query in queries if (found := snapshot.get(query)) is None or found.problem != _PROBLEM
        ]
        assert not lost, f"lost in a snapshot: {', '.join(lost)}"
        assert SECRET not in file.read_text(), "a query contains the planted secret"

    def test_answer_survives_serialisation(self, sample: tuple[Query[Any], Any]) -> None:
        """A saved answer equals the original one."""
        _assert_survives(*sample)

    # -- checks --------------------------------------------------------------------------------------------------

    def test_check_never_passes_without_an_observation(self, expectation: Expectation) -> None:
        """Without answers, the check raises CouldNotObserve or finds a violation; it never passes."""
        _, function = self._functions()[expectation.check]
        try:
            found = judge(function, expectation, lambda _: _PROBLEM).violations
        except CouldNotObserve:
            return
        assert found, f"{expectation.check} passes although no query has an answer"

    # -- the probe -----------------------------------------------------------------------------------------------

    def test_probe_survives_a_server_that(self, place: int, stand_in: Callable[[], Any]) -> None:
        """
        With any server, the probe answers or raises ProbeError by its deadline, without a secret in the text.

        A refused connection marks the whole target as down, so that an outage is one finding.
        """
        with stand_in() as port:
            target = list(self.targets(port))[place].named(NAME)
            problems = list(self._problems(target))
        for problem in problems:
            assert problem.text, f"a {problem.kind} problem without a text"
            assert SECRET not in f"{problem.text} {problem.advice}", "the text of a problem contains the planted secret"
        if stand_in is refusing:
            assert problems, "the probe does not report a refused connection as a problem"
            assert problems[0].target_down, f"a refused connection does not mark the target as down: {problems[0]}"
            kind = problems[0].kind
            assert kind is ProblemKind.UNREACHABLE, f"a refused connection is {kind} and not unreachable"

    def test_target_shows_no_secret(self, place: int) -> None:
        """`repr`, the address and `permissions` of a target do not contain its credentials."""
        target = list(self.targets(1))[place].named(NAME)
        assert SECRET not in f"{target!r} {target.address}", "repr or address of the target contains its secret"
        if (renderer := self._registry().permissions(target.kind)) is not None:
            needed = [one for query in self._queries_of(target.kind) for one in query.permissions()]
            text = renderer.render(target, list(dict.fromkeys(needed)))
            assert text.strip(), f"permissions of {target.kind} are empty"
            assert SECRET not in text, "the text of permissions contains the planted secret"

    def test_probe_answers_every_query_of_a_real_server(self) -> None:
        """Each query of `expectations` has an answer of its type that survives serialisation."""
        with self.running() as target:
            if target is None:
                pytest.skip("`running` starts no server")
            session = self._registry().probe(target.kind).open_session(target.named(NAME), 10.0)
            try:
                for query in self._queries_of(target.kind):
                    answer = _answer(self._registry(), session, query, 10.0)
                    _assert_survives(query, answer)
            finally:
                session.close()

    # -- parts ---------------------------------------------------------------------------------------------------

    @classmethod
    @cache
    def _registry(cls) -> Registry:
        """The bundled systems, and this one."""
        registry = Registry.bundled()
        if registry.systems.get(cls.system.name) != cls.system:
            registry.add_system(cls.system, "the system under test")
        return registry

    @classmethod
    @cache
    def _functions(cls) -> Mapping[str, tuple[Check, Callable[..., None]]]:
        """The check functions of the system by the names of their checks."""
        files = sorted(cls.system.checks.glob("test_*.py")) if cls.system.checks else []
        found = (_checks_in(file, cls.system.name) for file in files)
        return {check.kind.check_name: (check, function) for each in found for check, function in each}

    def _models(self) -> list[type[BaseModel]]:
        known = self._registry()
        targets = [known.target_type(kind) for kind in self.system.kinds]
        expectations = [known.expectation_type(check) for check in self.system.expectations]
        return [model for model in (*targets, *expectations) if model is not None]

    def _queries_of(self, kind: str) -> list[Query[Any]]:
        """The queries of `expectations` to a target of this kind, one of each class."""
        found: dict[type, Query[Any]] = {}
        for expectation in self.expectations:
            kinds = {target.name: target.kind for target in expectation.systems}
            for query in _queries(expectation):
                if kinds.get(query.target) == kind:
                    found.setdefault(type(query), query)
        return list(found.values())

    def _problems(self, target: Target) -> Iterator[Problem]:
        """The problems of a session with `target`, each raised by its deadline."""
        known = self._registry()
        probe = known.probe(target.kind)  # its import takes seconds, once, and is no part of the limit
        session, problem = _in_time(lambda: probe.open_session(target, DEADLINE_S))
        if problem is not None:
            yield problem
            return
        try:
            for query in self._queries_of(target.kind):
                _, problem = _in_time(lambda query=query: _answer(known, session, query, DEADLINE_S))  # type: ignore[misc]
                if problem is not None:
                    yield problem
        finally:
            session.close()


def _assert_survives(query: Query[Any], answer: Any) -> None:
    try:
        read = msgspec.json.decode(msgspec.json.encode(answer), type=type(query).answer)
    except (msgspec.MsgspecError, TypeError) as error:
        raise AssertionError(f"an answer to {query.text()} cannot be decoded: {error}") from None
    assert read == answer, f"an answer to {query.text()} is decoded as {read!r} instead of {answer!r}"


def _names_target(field: FieldInfo) -> bool:
    """True for a field that names a target: the schema lists the allowed kinds itself."""
    parts = (field.annotation, *get_args(field.annotation))
    return any(isinstance(part, type) and issubclass(part, Target) for part in parts)


def _in_time(call: Callable[[], Any]) -> tuple[Any, Problem | None]:
    """The result of a call into a probe, or its problem; the call must end by its deadline."""
    started = time.monotonic()
    answer, problem = None, None
    try:
        answer = call()
    except ProbeError as error:
        problem = error.problem
    took = time.monotonic() - started
    assert took < DEADLINE_S + SLACK_S, f"it took {took:.1f} s (limit {DEADLINE_S} s)"
    return answer, problem


def _answer(known: Registry, session: Any, query: Query[Any], timeout_s: float) -> Any:
    reader = known.reader(query)
    return reader(session, query, timeout_s) if reader else session.ask(query, timeout_s)


def _queries(expectation: Expectation) -> list[Query[Any]]:
    return list(dict.fromkeys([*expectation.queries(), *expectation.described()]))


_TESTS = {
    name: {
        *signature(test).parameters,
        *(["server"] if name == "test_probe_answers_every_query_of_a_real_server" else []),
    }
    for name, test in vars(SystemContract).items()
    if name.startswith("test_")
}
"""The tests by name, each with its arguments."""


def _checks_in(file: Path, system: str) -> Iterator[tuple[Check, Callable[..., None]]]:
    spec = spec_from_file_location(f"opscheck_contract_of_{system}.{file.stem}", file)
    assert spec is not None, f"{file} is not a Python module"
    assert spec.loader is not None, f"{file} is not a Python module"
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, value in vars(module).items():
        check = bound_check(value) if name.startswith("test") and hasattr(value, "__code__") else None
        if check is not None:
            yield check, value
