"""Other plugins of pytest that people use beside opscheck."""

import json

import pytest

from opscheck.reports.text import for_job_log

POLICY = """
    expectations:
      - {id: high, check: tank.level, level: 7, at_most: {P1: 5}, tags: [daily, water], owner: plumbers}
      - {id: low, check: tank.level, level: 1, at_most: {P1: 5}}
"""
COMMANDS = ("::add-mask::x", "##[group]x", "##vso[task.setvariable]x", "section_start:1:x")
NOISY = """
import warnings

from opscheck import Expectation, Findings

class Noisy(Expectation, check="tank.noisy"):
    '''It is quiet.'''

def test_it_is_quiet(expectation: Noisy, findings: Findings) -> None:
    '''It is quiet.'''
    warnings.warn("first\\n::set-output::w\\n ##[error]x\\rsection_start:1:w")
    print("::add-mask::x\\rfoo\\r::error::y")
    print("  ::set-env::z ##[group]x ##vso[task.complete]y \\x1b[0Ksection_start:1:x\\r\\x1b[0K")
    findings.add(observed="::error::a", expected="##[b]", evidence=["::notice::c", "section_end:2:d"])
    assert not "::warning::", "first\\n::debug::e\\n##vso[f]"
"""


def test_repeat_is_refused_by_its_name(plain_project):
    plain_project.policy(POLICY)
    outcome = plain_project.judge("--count=2")

    assert outcome.ret == 4
    assert "pytest-repeat: each expectation is judged once" in outcome.out
    assert "leave out --count" in outcome.out


def test_rerun_says_that_it_queries_nothing_again(plain_project):
    plain_project.policy(POLICY)
    outcome = plain_project.judge("--reruns=2")

    assert outcome.verdicts == {"high": "violated", "low": "passed"}
    assert outcome.ret == 1
    assert "--reruns sends no query again" in outcome.out


def test_allure_has_severity_owner_and_tags_as_labels(plain_project):
    plain_project.policy(POLICY)
    plain_project.judge("--alluredir=allure")
    results = [json.loads(file.read_text()) for file in (plain_project.path / "allure").glob("*-result.json")]
    labels = {one["name"]: {(each["name"], each["value"]) for each in one["labels"]} for one in results}

    (high,) = (found for name, found in labels.items() if "[high]" in name)
    assert {("severity", "critical"), ("owner", "plumbers"), ("tag", "daily"), ("tag", "water")} <= high
    (low,) = (found for name, found in labels.items() if "[low]" in name)
    assert "owner" not in {name for name, _ in low}


def test_annotation_points_at_the_line_of_the_policy(plain_project, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    plain_project.policy(POLICY)
    outcome = plain_project.judge()

    (line,) = (line for line in outcome.out.splitlines() if line.startswith("::error "))
    assert line.startswith("::error file=policy.yaml,line=5::")
    assert "level 7 m" in line


@pytest.mark.parametrize("variable", ["GITHUB_ACTIONS", "GITLAB_CI", "TF_BUILD"])
def test_job_log_has_no_command_of_a_target(plain_project, monkeypatch, variable):
    monkeypatch.setenv(variable, "True" if variable == "TF_BUILD" else "true")
    plain_project.check("test_noisy.py", NOISY)
    plain_project.policy("expectations: [{id: noisy, check: tank.noisy, severity: P1}]")
    outcome = plain_project.judge("-rA", "-pno:pytest_github_actions_annotate_failures")

    assert outcome.ret == 1
    assert "FAILURES" in outcome.out
    assert "warnings summary" in outcome.out
    assert not [line for line in outcome.out.replace("\r", "\n").splitlines() if line.lstrip().startswith("::")]
    assert not [mark for mark in ("##[", "##vso[", "section_start:", "section_end:", "\r") if mark in outcome.out]


def test_known_commands_are_written_out():
    for command in COMMANDS:
        assert for_job_log(command) != command
