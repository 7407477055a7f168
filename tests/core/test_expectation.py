"""What every expectation has, whatever it expects."""

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from opscheck import Expectation, Graded, GradedMinimum, HttpTarget, Percentage, Severity, Target
from opscheck.core.observation import Problem, ProblemKind
from opscheck.core.registry import Registry
from opscheck.core.units import Count
from opscheck.systems.stores.target import S3Target


@pytest.fixture
def tank() -> type[Expectation]:
    class Tank(Expectation, check="tank.level"):
        """The tank is neither too full nor too empty."""

        any_limit_of = ("full", "left")

        full: Graded[Percentage] | None = None
        left: GradedMinimum[Count] | None = None

    return Tank


@pytest.fixture
def door() -> type[Expectation]:
    class Door(Expectation, check="tank.door"):
        """The door is shut."""

    return Door


def made(kind: type[Expectation], **fields: Any) -> Any:
    return kind.model_validate({"id": "one", "check": kind.check_name, **fields})


def refusal(kind: type[Expectation], **fields: Any) -> str:
    with pytest.raises(ValidationError) as error:
        made(kind, **fields)
    return "\n".join(one["msg"] for one in error.value.errors())


def test_a_kind_is_known_by_the_name_of_its_check(tank):
    registry = Registry()

    registry.add(tank)

    assert registry.expectation_type("tank.level") is tank
    assert tank.check_name == "tank.level"


def test_a_class_without_a_check_is_no_kind():
    class Shared(Expectation):
        """What several kinds have in common."""

    assert Shared.check_name == ""


@pytest.mark.parametrize("name", ["api", "api-health", "api_2.eu", "7"])
def test_id_is_safe_in_commands_and_file_names(door, name):
    assert name == made(door, id=name, severity="P1").id


@pytest.mark.parametrize("name", ["", "-api", ".api", "api health", "api/health", "äpi", "api[1]"])
def test_invalid_id_is_rejected(door, name):
    assert "letters, digits" in refusal(door, id=name, severity="P1")


@pytest.mark.parametrize("tag", ["skip", "xfail", "parametrize", "usefixtures"])
def test_tag_with_a_meaning_in_pytest_is_rejected(door, tag):
    assert "not one of pytest's own marks" in refusal(door, tags=[tag], severity="P1")


def test_unknown_key_is_rejected(door):
    assert "Extra inputs are not permitted" in refusal(door, severity="P1", opne=True)


def test_an_expectation_cannot_be_changed(door):
    expectation = made(door, severity="P1")

    with pytest.raises(ValidationError):
        expectation.severity = "P3"


def test_expectation_without_a_limit_is_rejected(tank):
    assert "at least one limit (full, left)" in refusal(tank, severity="P1")


def test_a_plain_limit_needs_a_severity(tank):
    assert refusal(tank, full="75%") == (
        "`severity` for the plain limit `full`, or a limit by severity, such as {P2: 75%}"
    )


def test_plain_limit_has_the_severity_of_its_expectation(tank):
    expectation = made(tank, full="75%", severity="P1")

    assert ((Severity.P1, Percentage(75)),) == expectation.full.steps


def test_ungraded_condition_needs_a_severity(door):
    assert "`severity` of a violation" in refusal(door)


@pytest.mark.parametrize(
    ("fields", "severity"),
    [
        ({"full": {"P3": "50%", "P1": "90%"}}, Severity.P1),
        ({"full": {"P3": "50%"}, "left": {"P0": 1}}, Severity.P0),
        ({"full": {"P3": "50%", "P1": "90%"}, "severity": "P2"}, Severity.P2),
    ],
)
def test_ungraded_condition_has_its_own_or_the_worst_severity(tank, fields, severity):
    assert severity == made(tank, **fields).ungraded_severity


def test_limits_are_those_that_the_policy_sets(tank):
    assert list(made(tank, left={"P1": 2}).limits()) == ["left"]


@pytest.mark.parametrize("kind", ProblemKind)
def test_missing_answer_is_unknown_by_default(door, kind):
    assert made(door, severity="P0").no_answer(Problem(kind=kind, text="")) is None


# -- targets ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def page() -> type[Expectation]:
    class Page(Expectation, check="tank.page"):
        """The page is there."""

        target: HttpTarget

    return Page


@pytest.fixture
def targets() -> Mapping[str, Target]:
    return {
        "api": HttpTarget(kind="http", base_url="https://api.example.com").named("api"),
        "bucket": S3Target.model_validate({"kind": "s3", "bucket": "backups"}).named("bucket"),
    }


def on(page, target, targets):
    fields = {"id": "one", "check": "tank.page", "severity": "P1", "target": target}
    context = {"targets": targets, "kinds_of": Registry.bundled().kinds_of}
    return page.model_validate(fields, context=context)


def test_a_target_is_written_as_its_name(page, targets):
    assert on(page, "api", targets).system is targets["api"]


@pytest.mark.parametrize("target", ["apu", ["api"], {"kind": "http"}, 3, None], ids=repr)
def test_unknown_target_name_is_rejected(page, targets, target):
    with pytest.raises(ValidationError, match="the name of a target"):
        on(page, target, targets)


def test_a_target_of_another_kind_is_refused_with_both_kinds(page, targets):
    with pytest.raises(ValidationError, match="a target of kind http or prometheus; bucket is of kind s3"):
        on(page, "bucket", targets)


def test_expectation_without_a_target_has_no_queries(door):
    assert made(door, severity="P1").system is None
    assert list(made(door, severity="P1").queries()) == []


def test_skip_needs_a_reason(door):
    assert made(door, severity="P1", skip="no door here").skip == "no door here"
    assert "at least 1 character" in refusal(door, severity="P1", skip="")
