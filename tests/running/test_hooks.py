"""A run never loses an expectation, and never calls one passed that was not judged."""

import re
from textwrap import dedent

import pytest

POLICY = """
    expectations:
      - {id: low, check: tank.level, level: 1, at_most: {P2: 5}}
      - id: odd
        check: tank.odd
        severity: P1
"""

HEAD = """
import pytest
from opscheck import Expectation


class Odd(Expectation, check="tank.odd"):
    '''Nothing is odd.'''


"""


def judge(project, check, *options, conftest="", policy=POLICY):
    """Run a policy of two expectations; `check` judges the one called odd."""
    project.policy(policy)
    project.check("test_odd.py", HEAD + dedent(check))
    project.check("conftest.py", conftest)
    return project.judge(*options)


def declared_and_reported(outcome):
    """How many expectations the run selected, and how many have a verdict."""
    return outcome.run["counts"]["declared"], outcome.run["counts"]["reported"]


def test_check_with_two_items_for_one_expectation_is_an_error(project):
    outcome = judge(
        project,
        """
        @pytest.mark.parametrize("number", [1, 2])
        def test_odd(expectation: Odd, number):
            assert number == 2
        """,
    )

    assert 4 == outcome.ret
    assert "odd is judged by 2 items, and one is expected" in outcome.out


def test_a_check_that_two_classes_inherit_is_an_error(project):
    outcome = judge(
        project,
        """
        class TestOne:
            number = 1

            def test_odd(self, expectation: Odd):
                assert self.number == 2

        class TestTwo(TestOne):
            number = 2
        """,
    )

    assert 4 == outcome.ret
    assert "odd is judged by 2 items" in outcome.out


def test_item_removed_by_a_conftest_is_missing(project):
    outcome = judge(
        project,
        "def test_odd(expectation: Odd): assert False",
        conftest="""
        def pytest_collection_modifyitems(items):
            items[:] = [item for item in items if "odd" not in item.name]
        """,
    )

    assert 21 == outcome.ret
    assert (2, 1) == declared_and_reported(outcome)
    assert "no verdict of odd" in outcome.run["notices"][0]


def test_item_deselected_by_a_conftest_is_not_missing(project):
    outcome = judge(
        project,
        "def test_odd(expectation: Odd): assert False",
        conftest="""
        def pytest_collection_modifyitems(items, config):
            config.hook.pytest_deselected(items=[item for item in items if "odd" in item.name])
            items[:] = [item for item in items if "odd" not in item.name]
        """,
    )

    assert 0 == outcome.ret
    assert (1, 1) == declared_and_reported(outcome)


def test_check_with_an_import_error_has_missing_verdicts(plain_project):
    outcome = judge(
        plain_project,
        """
        import there_is_no_such_module

        def test_odd(expectation: Odd): pass
        """,
        "--continue-on-collection-errors",
    )

    assert 21 == outcome.ret
    assert (2, 1) == declared_and_reported(outcome)


def test_import_error_of_another_module_is_not_success(plain_project):
    plain_project.check("test_wrong.py", "import there_is_no_such_module")

    outcome = judge(plain_project, "def test_odd(expectation: Odd): pass", "--continue-on-collection-errors")

    assert 1 == outcome.ret
    assert (2, 2) == declared_and_reported(outcome)


def test_a_check_that_ends_the_program_is_unknown(project):
    outcome = judge(project, "def test_odd(expectation: Odd): raise SystemExit(0)")

    assert 20 == outcome.ret
    assert "check error: SystemExit: 0" in outcome.result("odd")["summary"]


@pytest.mark.parametrize("code", [0, 7])
def test_check_that_ends_the_session_has_no_verdict(plain_project, code):
    outcome = judge(plain_project, f"def test_odd(expectation: Odd): pytest.exit('enough', returncode={code})")

    assert 21 == outcome.ret
    assert "no verdict of odd" in outcome.run["notices"][0]


MISSING = """
from opscheck import Observe
from opscheck.systems.http.request import HttpRequest
from opscheck.core.observation import CouldNotObserve

ASKED = HttpRequest(target="api", path="/")

def test_odd(expectation: Odd, observe: Observe):
    try:
        observe(ASKED)
    except CouldNotObserve:
        {then}
"""

API = """
    targets:
      api: {kind: http, base_url: "http://127.0.0.1:1"}
"""


@pytest.mark.parametrize("then", ["return", "pytest.skip('there is nothing to see')"])
def test_check_that_ignores_a_missing_answer_is_unknown(project, then):
    outcome = judge(project, MISSING.format(then=then), policy=POLICY + API)

    assert 20 == outcome.ret
    assert "unknown" == outcome.verdicts["odd"]
    assert "refused" in outcome.result("odd")["summary"]


def test_check_that_returns_a_boolean_is_unknown(project):
    outcome = judge(project, "def test_odd(expectation: Odd): return False")

    assert 20 == outcome.ret
    assert "did you mean to use `assert` instead of `return`?" in outcome.result("odd")["summary"].lower()


@pytest.mark.parametrize("way", ["assert False, 'no database'", "pytest.fail('no database')"])
def test_failed_fixture_is_unknown(project, way):
    outcome = judge(
        project,
        f"""
        @pytest.fixture
        def database():
            {way}

        def test_odd(expectation: Odd, database): pass
        """,
    )

    assert 20 == outcome.ret
    assert "no database" in outcome.result("odd")["summary"]


def test_invalid_log_call_does_not_break_a_check(project):
    outcome = judge(
        project,
        """
        import logging

        def test_odd(expectation: Odd):
            logging.getLogger("client").warning("%d items", "some")
        """,
    )

    assert "passed" == outcome.verdicts["odd"]


@pytest.mark.parametrize("password", ["odd", "tank", "tank.odd", "violated", "2026", "P1"])
def test_password_equal_to_a_name_keeps_the_verdict(plain_project, monkeypatch, password):
    monkeypatch.setenv("TANK_PASSWORD", password)

    outcome = judge(
        plain_project,
        "def test_odd(expectation: Odd): assert False, 'it is odd'",
        policy=POLICY + '        owner: "${TANK_PASSWORD}"\n',
    )

    assert 1 == outcome.ret
    assert {"low": "passed", "odd": "violated"} == outcome.verdicts
    assert "tank.odd" == outcome.result("odd")["check"]


def test_a_snapshot_of_another_environment_is_refused(plain_project):
    plain_project.policy(POLICY)
    judge(plain_project, "def test_odd(expectation: Odd): pass", "--save=snapshot.json")
    policy = plain_project.path / "policy.yaml"
    policy.write_text(policy.read_text().replace("environment: test", "environment: production"))

    outcome = plain_project.judge("--from=snapshot.json")

    assert 4 == outcome.ret
    assert "a snapshot of test, and policy.yaml is about production" in outcome.out


@pytest.mark.parametrize("option", ["--run-json", "--save"])
def test_directory_as_output_is_rejected_before_any_query(plain_project, option):
    outcome = judge(plain_project, "def test_odd(expectation: Odd): pass", f"{option}=checks")

    assert 4 == outcome.ret
    assert f"{option}: expected a file to write, checks is a directory" in outcome.out


@pytest.mark.parametrize("option", ["--run-json", "--save"])
def test_unwritable_output_keeps_verdicts_and_exits_3(plain_project, option):
    outcome = judge(plain_project, "def test_odd(expectation: Odd): pass", f"{option}=/dev/full")

    assert 3 == outcome.ret
    assert f"{option}: /dev/full cannot be written: No space left on device" in outcome.out
    assert re.search(r"^RESULT: .*\b2 passed in ", outcome.out, re.MULTILINE)
    assert "Traceback" not in outcome.out


def test_check_of_a_deselected_expectation_may_be_missing(plain_project):
    plain_project.policy("""
        targets: {api: {kind: http, base_url: "http://127.0.0.1:1"}}
        expectations:
          - {id: low, check: tank.level, level: 1, at_most: {P2: 5}}
          - {id: page, check: http.response, target: api, severity: P1}
    """)

    outcome = plain_project.judge("--only=low")

    assert {"low": "passed"} == outcome.verdicts


def test_empty_policy_option_is_an_error(plain_project):
    outcome = plain_project.judge(policy="")

    assert 4 == outcome.ret
    assert "--policy: expected a file, got an empty text" in outcome.out


def test_failures_outside_the_checks_are_named(project):
    outcome = judge(
        project,
        """
        @pytest.fixture
        def database():
            yield
            assert False, "it does not close"

        def test_odd(expectation: Odd, database): pass
        """,
    )

    assert 1 == outcome.ret
    assert "passed" == outcome.verdicts["odd"]
    assert ["failed: checks/test_odd.py::test_odd[odd] (teardown): AssertionError: it does not close"] == [
        notice.partition("\n")[0] for notice in outcome.run["notices"]
    ]


def test_check_with_a_missing_module_is_unknown(project):
    outcome = judge(
        project,
        """
        def test_odd(expectation: Odd):
            pytest.importorskip("there_is_no_such_module")
        """,
    )

    assert 20 == outcome.ret
    assert "unknown" == outcome.verdicts["odd"]
    assert "there_is_no_such_module" in outcome.result("odd")["summary"]


def test_check_that_reads_no_query_is_unknown(project):
    outcome = judge(
        project,
        """
        from opscheck import HttpTarget
        from opscheck.systems.http.request import HttpRequest


        class Deaf(Expectation, check="tank.deaf"):
            '''It answers.'''

            target: HttpTarget

            def queries(self):
                return [HttpRequest(target=self.target.name)]


        def test_deaf(expectation: Deaf, observe):
            '''It answers.'''
        """,
        policy="""
            targets: {api: {kind: http, base_url: "http://127.0.0.1:1"}}
            expectations:
              - {id: low, check: tank.level, level: 1, at_most: {P2: 5}}
              - {id: deaf, check: tank.deaf, target: api, severity: P1}
        """,
    )

    assert 20 == outcome.ret
    assert "unknown" == outcome.verdicts["deaf"]
    assert "read none of its queries" in outcome.result("deaf")["summary"]
