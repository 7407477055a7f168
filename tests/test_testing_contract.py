"""The contract kit detects each broken rule: one system per fault."""

import socket
import sys
import time
from dataclasses import dataclass, replace
from types import ModuleType
from typing import ClassVar

import msgspec
import pytest

from opscheck import Expectation, Kind, ProbeError, ProblemKind, Query, System, Target, unreachable
from opscheck.testing import expect
from opscheck.testing.contract import NAME, SECRET, STAND_INS, SystemContract

REFUSES, DRIPS = STAND_INS["refuses"], STAND_INS["drips"]
CHECK = '''
"""Checks of a tank."""

from tests.test_testing_contract import Level, ReadLevel


def test_level(expectation: Level, observe, findings) -> None:
    """
    The tank is not full.

    A full tank runs over.
    """
    {body}
'''
GOOD = 'assert observe(ReadLevel(expectation.target.name)).level < 1, "it is full"'


class TankTarget(Target, kind="contract-tank"):
    """A tank."""

    port: int = 1
    """Where it listens."""
    password: str = SECRET
    """What it wants to hear."""


class Answer(msgspec.Struct, frozen=True):
    """How full it is."""

    level: float


@dataclass(frozen=True)
class ReadLevel(Query[Answer], name="tank.level"):
    """How full the tank is."""


class Level(Expectation, check="tank.level"):
    """The tank is not full."""

    target: TankTarget

    def queries(self):
        """One."""
        return [ReadLevel(self.target.name)]


class Bare(Expectation, check="tank.level"):
    """One with a field that nothing describes."""

    depth: float = 1.0


class Session:
    """Connected, and answers what it is told to."""

    def __init__(self, answer):
        self._answer = answer

    def ask(self, query, timeout_s):
        return self._answer()

    def close(self):
        pass


def connects(target, timeout_s):
    """Like a good probe."""
    try:
        socket.create_connection(("127.0.0.1", target.port), timeout_s).close()
    except OSError as error:
        raise unreachable(error, f"127.0.0.1:{target.port}") from None
    return Session(lambda: Answer(0.5))


def held(monkeypatch, tmp_path, open_session=connects, body=GOOD, target=TankTarget, **changed):
    """A contract for a system with this probe and this check."""
    module = ModuleType("probe_of_a_tank")
    module.open_session = open_session
    monkeypatch.setitem(sys.modules, module.__name__, module)
    (tmp_path / "test_level.py").write_text(CHECK.format(body=body))
    tank = Kind(target=f"{__name__}:TankTarget", probe=module.__name__)
    made = System(
        name="tank",
        kinds={"contract-tank": tank},
        expectations={"tank.level": f"{__name__}:Level"},
        checks=tmp_path,
    )

    class Held(SystemContract):
        system: ClassVar = replace(made, **changed)
        expectations: ClassVar = (expect(Level, TankTarget(kind="contract-tank"), severity="P1"),)
        answers: ClassVar = {ReadLevel(NAME): Answer(0.5)}

        @classmethod
        def targets(cls, port):
            return [target(kind="contract-tank", port=port)]

    return Held()


def test_correct_system_passes(monkeypatch, tmp_path):
    good = held(monkeypatch, tmp_path)

    for stand_in in STAND_INS.values():
        good.test_probe_survives_a_server_that(0, stand_in)
    good.test_descriptor_names_exist()
    good.test_query_survives_serialisation(good.expectations[0], tmp_path)
    good.test_check_never_passes_without_an_observation(good.expectations[0])
    good.test_check_has_a_function_a_claim_and_a_reason("tank.level")
    good.test_check_has_a_sample("tank.level")


def test_check_that_observes_nothing_is_detected(monkeypatch, tmp_path):
    bad = held(monkeypatch, tmp_path, body="pass")

    with pytest.raises(AssertionError, match=r"tank.level passes although no query has an answer"):
        bad.test_check_never_passes_without_an_observation(bad.expectations[0])


def test_check_that_swallows_a_missing_answer_is_detected(monkeypatch, tmp_path):
    bad = held(monkeypatch, tmp_path, body="observe.evidence(ReadLevel(expectation.target.name))")

    with pytest.raises(AssertionError, match=r"tank.level passes although"):
        bad.test_check_never_passes_without_an_observation(bad.expectations[0])


def test_field_without_a_text_is_detected(monkeypatch, tmp_path):
    bad = held(monkeypatch, tmp_path)

    with pytest.raises(AssertionError, match=r"Bare: no text under the fields depth"):
        bad.test_field_has_a_description(Bare)


def test_password_in_the_repr_of_a_target_is_detected(monkeypatch, tmp_path):
    bad = held(monkeypatch, tmp_path)

    with pytest.raises(AssertionError, match="repr or address of the target contains its secret"):
        bad.test_target_shows_no_secret(0)


def fails(kind, text, **options):
    def open_session(target, timeout_s):
        raise ProbeError(kind, text, **options)

    return open_session


@pytest.mark.parametrize(
    ("open_session", "message"),
    [
        (fails(ProblemKind.UNREACHABLE, "refused"), "does not mark the target as down"),
        (fails(ProblemKind.BROKEN, "refused", target_down=True), "is broken and not unreachable"),
        (fails(ProblemKind.UNREACHABLE, f"as {SECRET}", target_down=True), "planted secret"),
        (fails(ProblemKind.UNREACHABLE, "x", advice=f"as {SECRET}", target_down=True), "planted secret"),
        (fails(ProblemKind.UNREACHABLE, "", target_down=True), "problem without a text"),
        (lambda target, timeout_s: Session(lambda: Answer(1)), "does not report a refused connection"),
    ],
    ids=["not down", "wrong kind", "secret", "secret advice", "no text", "not noticed"],
)
def test_badly_reported_refusal_is_detected(monkeypatch, tmp_path, open_session, message):
    bad = held(monkeypatch, tmp_path, open_session)

    with pytest.raises(AssertionError, match=message):
        bad.test_probe_survives_a_server_that(0, REFUSES)


def test_unexpected_error_of_a_probe_is_raised(monkeypatch, tmp_path):
    def open_session(target, timeout_s):
        raise ConnectionResetError

    bad = held(monkeypatch, tmp_path, open_session)

    with pytest.raises(ConnectionResetError):
        bad.test_probe_survives_a_server_that(0, DRIPS)


def test_probe_that_waits_for_each_byte_is_detected(monkeypatch, tmp_path):
    def read_forever(target, _):
        ends = time.monotonic() + 1.5
        with socket.create_connection(("127.0.0.1", target.port), timeout=10) as connection:
            while time.monotonic() < ends:
                connection.recv(1)  # each one comes in time
        return Session(lambda: Answer(1))

    monkeypatch.setattr("opscheck.testing.contract.DEADLINE_S", 0.2)
    monkeypatch.setattr("opscheck.testing.contract.SLACK_S", 0.2)
    bad = held(monkeypatch, tmp_path, read_forever)

    with pytest.raises(AssertionError, match=r"it took \d\.\d s \(limit 0.2 s\)"):
        bad.test_probe_survives_a_server_that(0, DRIPS)


def test_answer_that_does_not_survive_is_detected(monkeypatch, tmp_path):
    bad = held(monkeypatch, tmp_path)

    with pytest.raises(AssertionError, match="cannot be decoded: Expected `float`, got `null`"):
        bad.test_answer_survives_serialisation((ReadLevel(NAME), Answer(float("nan"))))


def test_check_without_a_sample_is_detected(monkeypatch, tmp_path):
    bad = held(monkeypatch, tmp_path)

    with pytest.raises(AssertionError, match=r"`expectations` has no tank.door"):
        bad.test_check_has_a_sample("tank.door")


def test_contract_has_one_test_per_rule(pytester):
    pytester.makepyfile("""
        from opscheck.core.registry import Registry
        from opscheck.testing.contract import SystemContract

        class TestHttp(SystemContract):
            system = Registry.bundled().systems["http"]
    """)

    outcome = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:opscheck")

    outcome.assert_outcomes(passed=6, failed=2)
    outcome.stdout.fnmatch_lines(["*`expectations` has no http.response*"])
