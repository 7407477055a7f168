"""What a user of the plugin sees, plain, on two workers, and without pytest-xdist."""

import pytest
from junitparser import JUnitXml, Properties

LEVELS = """
    expectations:
      - {id: low, check: tank.level, level: 1, at_most: {P2: 5, P0: 9}, tags: [daily]}
      - {id: high, check: tank.level, level: 7, at_most: {P2: 5, P0: 9}, tags: [daily, water], owner: plumbers}
      - {id: door, check: tank.door, severity: P3}
"""


def test_each_expectation_is_one_item_and_has_one_verdict(project):
    project.policy(LEVELS)

    outcome = project.judge()

    assert {"low": "passed", "high": "violated", "door": "passed"} == outcome.verdicts
    assert 1 == outcome.ret
    assert 3 == outcome.run["counts"]["declared"] == outcome.run["counts"]["reported"]


def test_results_are_in_policy_order(project):
    project.policy(LEVELS)

    assert ["low", "high", "door"] == list(project.judge().verdicts)


def test_graded_violation_has_severity_deadline_and_contact(project):
    project.policy(LEVELS)

    result = project.judge().result("high")

    (finding,) = result["findings"]
    assert "P2" == result["severity"] == finding["severity"]
    assert ("tank", "level 7 m", "<= 5 m") == (finding["subject"], finding["observed"], finding["expected"])
    assert finding["respond_by"] > finding["escalate"][0]["at"]
    assert ["On-call Engineer", "Engineering Manager"] == [call["notify"] for call in finding["escalate"]]
    assert {"file": "policy.yaml", "line": 6} == result["source"]


def test_below_the_gate_a_violation_is_reported_and_does_not_fail(project):
    project.policy(LEVELS)

    outcome = project.judge("--fail-on=P1")

    assert 0 == outcome.ret
    assert outcome.run["gate"] == {"fail_on": "P1", "open": True, "exit_code": 0}
    assert outcome.result("high")["advisory"]
    assert "level 7 m" in outcome.out


def test_fail_on_never_does_not_fail(project):
    project.policy(LEVELS)

    assert 0 == project.judge("--fail-on=never").ret


@pytest.mark.parametrize("selection", ["-mwater", "-khigh", "--tag=water", "--only=hi*"])
def test_selection_by_keyword_mark_tag_and_id(project, selection):
    project.policy(LEVELS)

    outcome = project.judge(selection)

    assert {"high": "violated"} == outcome.verdicts
    assert 1 == outcome.run["counts"]["declared"]


def test_empty_selection_is_not_success(project):
    project.policy(LEVELS)

    assert 21 == project.judge("-knothing").ret


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--tag=fire", "--tag fire: no expectation has this tag; known: daily, water"),
        ("--only=fire*", "--only fire*: no expectation has this id; known: door, high, low"),
        ("--fail-on=P9", "--fail-on: expected P0, P1, P2, P3 or never, got P9"),
        ("--run-timeout=5", "--run-timeout: expected a duration with its unit"),
        ("--from=gone.json", "gone.json: the snapshot cannot be read"),
    ],
)
def test_usage_error_is_one_line_and_exit_4(project, option, says):
    project.policy(LEVELS)

    outcome = project.judge(option)

    assert 4 == outcome.ret
    assert says in outcome.out
    assert "Traceback" not in outcome.out


def test_check_that_is_not_collected_is_an_error(project):
    project.policy("""
        expectations:
          - {id: low, check: tank.level, level: 1, at_most: {P2: 5}}
          - {id: health, check: http.response, target: api, severity: P1}
        targets:
          api: {kind: http, base_url: "http://127.0.0.1:1"}
    """)

    outcome = project.judge()

    assert 4 == outcome.ret
    assert "no collected check judges health (http.response)" in outcome.out


def test_one_item_can_be_named_by_its_node_id(project):
    project.policy(LEVELS)

    outcome = project.judge(
        "checks/test_tank.py::test_level_is_low[high]", "--deselect=checks/test_tank.py::test_door_is_shut"
    )

    assert "violated" == outcome.verdicts["high"]


def test_two_checks_for_one_kind_are_an_error(project):
    project.policy(LEVELS)
    project.check(
        "test_zone.py",
        """
        import sys

        files = {getattr(module, "__file__", None): module for module in list(sys.modules.values())}
        Level = next(module.Level for file, module in files.items() if file and file.endswith("/test_tank.py"))

        def test_level_again(expectation: Level) -> None:
            '''The tank is not too full.'''
    """,
    )

    outcome = project.judge("checks/test_tank.py", "checks/test_zone.py")

    assert 4 == outcome.ret
    assert "two checks judge tank.level" in outcome.out


def test_a_plain_assert_is_one_finding(project):
    project.policy("""
        expectations:
          - {id: door, check: tank.door, open: true, severity: P1}
    """)

    (finding,) = project.judge().result("door")["findings"]

    assert "P1" == finding["severity"]
    assert "the door stands open" in finding["observed"]
    assert "The door is shut." == finding["expected"]


def test_a_check_that_breaks_is_unknown_and_exit_20(project):
    project.policy("""
        expectations:
          - {id: broken, check: tank.broken, severity: P0}
    """)
    project.check(
        "test_broken.py",
        """
        from opscheck import Expectation

        class Broken(Expectation, check="tank.broken"):
            '''Nothing.'''

        def test_broken(expectation: Broken) -> None:
            '''It works.'''
            raise KeyError("pods")
    """,
    )

    outcome = project.judge()

    assert 20 == outcome.ret
    assert "unknown" == outcome.verdicts["broken"]
    assert "check error: KeyError: 'pods' (test_broken.py:9)" in outcome.result("broken")["summary"]


def test_expectation_that_does_not_apply_is_skipped_with_its_reason(project):
    project.policy("""
        expectations:
          - {id: low, check: tank.level, level: 1, at_most: {P2: 5}}
          - {id: door, check: tank.door, open: true, severity: P1, skip: there is no door here}
    """)

    outcome = project.judge()

    assert 0 == outcome.ret
    assert ("skipped", "there is no door here") == (outcome.verdicts["door"], outcome.result("door")["summary"])


def test_waived_violation_passes_the_gate_and_shows_its_owner(project):
    project.policy(
        LEVELS
        + """
    waivers:
      - {id: high, reason: "flood drill, CHG-1", owner: maria, expires: 2999-12-31}
    """
    )

    outcome = project.judge()

    assert 0 == outcome.ret
    assert "waived" == outcome.verdicts["high"]
    assert "maria" == outcome.result("high")["waiver"]["owner"]


def test_expired_waiver_does_not_apply(project):
    project.policy(
        LEVELS
        + """
    waivers:
      - {id: high, reason: "flood drill, CHG-1", owner: maria, expires: 2020-12-31}
    """
    )

    outcome = project.judge()

    assert 1 == outcome.ret
    assert outcome.result("high")["waiver"]["expired"]
    assert any("expired" in notice for notice in outcome.run["notices"])


def test_junit_xml_has_one_case_per_expectation_with_its_properties(project):
    project.policy(LEVELS)

    project.judge("--junit-xml=junit.xml", "--fail-on=P0")

    (suite,) = JUnitXml.fromfile(str(project.path / "junit.xml"))
    properties = [{one.name: one.value for one in case.child(Properties)} for case in suite]
    assert {"low", "high", "door"} == {each["opscheck.id"] for each in properties}
    assert ["pytest.xfail"] == [result.type for case in suite for result in case.result]


def test_last_failed_runs_only_what_failed(project):
    project.policy(LEVELS)
    project.judge()

    outcome = project.judge("--lf")

    assert {"high": "violated"} == outcome.verdicts


def test_run_that_stops_at_the_first_failure_fails(plain_project):
    plain_project.policy(LEVELS.replace("level: 1", "level: 10"))

    outcome = plain_project.judge("-x")

    assert 1 == outcome.ret
    assert (3, 1) == (outcome.run["counts"]["declared"], outcome.run["counts"]["reported"])


def test_collect_only_touches_no_target_and_judges_nothing(project):
    project.policy("""
        expectations:
          - {id: page, check: tank.page, target: api, severity: P1}
        targets:
          api: {kind: http, base_url: "http://127.0.0.1:1"}
    """)

    outcome = project.judge("--collect-only", "-q")

    assert 0 == outcome.ret
    assert "test_page_is_there[page]" in outcome.out
    assert {} == outcome.run


def test_refusing_target_is_one_unknown_and_blocks_others(project):
    project.policy("""
        expectations:
          - {id: first, check: tank.page, target: api, severity: P1}
          - {id: second, check: tank.page, target: api, path: /a, severity: P0}
          - {id: third, check: tank.page, target: api, path: /b, severity: P0}
        targets:
          api: {kind: http, base_url: "http://127.0.0.1:1"}
    """)

    outcome = project.judge()

    assert 20 == outcome.ret
    assert [None, "first", "first"] == [result["blocked_by"] for result in outcome.run["results"]]
    assert "refused" in outcome.result("first")["summary"]


def test_environment_value_is_not_in_the_output(project, monkeypatch):
    monkeypatch.setenv("TANK_PASSWORD", "pl4nted-s'ecret\"<&>")
    project.policy("""
        expectations:
          - {id: door, check: tank.door, open: true, severity: P1, owner: "${TANK_PASSWORD}"}
    """)

    outcome = project.judge("--showlocals", "-vv", "--junit-xml=junit.xml", "--save=snapshot.json")

    written = [(project.path / name).read_text() for name in ("run.json", "junit.xml", "snapshot.json")]
    for text in [outcome.out, *written]:
        assert "pl4nted" not in text
    assert "${TANK_PASSWORD}" == outcome.result("door")["owner"]


def test_ordinary_tests_run_with_checks_unchanged(project):
    project.policy(LEVELS)
    project.check("test_plain.py", "def test_plain(): assert 1 + 1 == 2\ndef test_wrong(): assert 1 + 1 == 3")

    outcome = project.judge("--fail-on=never")

    assert 1 == outcome.ret
    assert {"low", "high", "door"} == set(outcome.verdicts)
    assert "assert (1 + 1) == 3" in outcome.out


def test_module_with_an_import_error_is_not_success(project):
    project.policy(LEVELS)
    project.check("test_wrong.py", "import there_is_no_such_module")

    outcome = project.judge()

    assert 2 == outcome.ret
    assert "there_is_no_such_module" in outcome.out


def test_without_a_terminal_reporter_the_verdicts_are_the_same(plain_project):
    plain_project.policy(LEVELS)

    outcome = plain_project.judge("-pno:terminal")

    assert {"low": "passed", "high": "violated", "door": "passed"} == outcome.verdicts


def test_a_run_without_a_policy_is_not_touched(pytester):
    pytester.makepyfile("def test_something(observe=1): pass")

    result = pytester.runpytest_subprocess("-v")

    assert 0 == result.ret
    assert "opscheck" not in "\n".join(line for line in result.outlines if not line.startswith("plugins:"))


def test_the_plugin_loads_nothing_but_pytest_and_the_standard_library(pytester):
    pytester.makepyfile("""
        import sys

        def test_nothing_heavy_is_loaded():
            heavy = {"pydantic", "yaml", "msgspec", "httpx", "psycopg", "kubernetes", "boto3", "click"}
            assert not heavy & set(sys.modules)
    """)

    result = pytester.runpytest_subprocess("-pno:testinfra")

    assert 0 == result.ret


def test_plugin_does_not_change_collection_of_other_projects(pytester):
    pytester.makepyfile("import pytest\n@pytest.mark.parametrize('n', [1, 2])\ndef test_n(n): pass")

    with_plugin = pytester.runpytest_subprocess("--co", "-q", "--no-summary")
    without = pytester.runpytest_subprocess("--co", "-q", "--no-summary", "-pno:opscheck")

    def lines(result):
        return [line.partition(" in ")[0] for line in result.outlines]

    assert lines(without) == lines(with_plugin)
