"""What one expectation's finding explains is told there, and stays a violation."""

import pytest

PIPES = '''
"""Tanks hang on pipes; a pipe that burst empties the tanks behind it."""

from opscheck import Expectation, Findings


class Pipe(Expectation, check="pipe.whole"):
    """The pipe is whole."""

    explains_others = True
    burst: tuple[str, ...] = ()
    """The pipes that burst."""
    behind: tuple[str, ...] = ()
    """The pipes that would explain it."""


class Supply(Expectation, check="tank.supply"):
    """The tank is supplied."""

    dry: dict[str, str] = {}
    """The tanks that are dry, each with its pipe."""


def test_the_pipe_is_whole(expectation: Pipe, findings: Findings) -> None:
    """The pipe is whole."""
    for name in expectation.burst:
        findings.add(subject=name, observed="burst", expected="whole", about=f"pipe/{name}", because=expectation.behind)


def test_the_tank_is_supplied(expectation: Supply, findings: Findings) -> None:
    """The tank is supplied."""
    for name, pipe in expectation.dry.items():
        findings.add(subject=name, observed="dry", expected="supplied", about=f"tank/{name}", because=[f"pipe/{pipe}"])
'''


@pytest.fixture
def plumbing(project):
    project.check("test_plumbing.py", PIPES)
    return project


def judge(project, expectations, *options):
    project.policy(f"expectations:\n{expectations}")
    return project.judge(*options)


def test_explained_finding_is_reported_once_and_stays_violated(plumbing):
    outcome = judge(
        plumbing,
        """
          - {id: supply, check: tank.supply, dry: {north: main}, severity: P0}
          - {id: pipes, check: pipe.whole, burst: [main], severity: P2}
        """,
        "--fail-on=P0",
    )

    supply = outcome.result("supply")
    assert 1 == outcome.ret  # at the gate, whatever the severity of its cause
    assert ("violated", "P0", "pipes", []) == tuple(
        supply[name] for name in ("verdict", "severity", "blocked_by", "findings")
    )
    assert [("north", "dry", "pipe/main", "pipes")] == [
        (one["subject"], one["observed"], one["of"], one["told_by"]) for one in supply["consequences"]
    ]
    assert "because of pipe/main: north: dry; see pipes" == supply["summary"]
    assert ["main"] == [finding["subject"] for finding in outcome.result("pipes")["findings"]]


def test_finding_with_its_own_cause_is_reported_separately(plumbing):
    outcome = judge(
        plumbing,
        """
          - {id: pipes, check: pipe.whole, burst: [main], severity: P2}
          - {id: supply, check: tank.supply, dry: {north: main, south: other}, severity: P0}
        """,
    )

    supply = outcome.result("supply")
    assert (None, ["south"]) == (supply["blocked_by"], [finding["subject"] for finding in supply["findings"]])
    assert ["north"] == [one["subject"] for one in supply["consequences"]]


def test_chain_of_causes_is_reported_at_its_root(plumbing):
    outcome = judge(
        plumbing,
        """
          - {id: supply, check: tank.supply, dry: {north: branch}, severity: P1}
          - {id: branches, check: pipe.whole, burst: [branch], behind: [pipe/main], severity: P1}
          - {id: mains, check: pipe.whole, burst: [main], severity: P1}
        """,
    )

    assert {"supply": "mains", "branches": "mains", "mains": None} == {
        one["id"]: one["blocked_by"] for one in outcome.run["results"]
    }


def test_mutual_causes_are_both_reported(plumbing):
    outcome = judge(
        plumbing,
        """
          - {id: one, check: pipe.whole, burst: [one], behind: [pipe/two], severity: P1}
          - {id: two, check: pipe.whole, burst: [two], behind: [pipe/one], severity: P1}
        """,
    )

    assert [["one"], ["two"]] == [[f["subject"] for f in one["findings"]] for one in outcome.run["results"]]


@pytest.mark.parametrize(
    "cause",
    [
        "- {id: pipes, check: pipe.whole, burst: [main], severity: P2, skip: it is being replaced}",
        "- {id: pipes, check: pipe.whole, burst: [other], severity: P2}",
    ],
    ids=["skipped", "about something else"],
)
def test_passed_expectation_explains_nothing(plumbing, cause):
    outcome = judge(
        plumbing,
        f"""
          {cause}
          - {{id: supply, check: tank.supply, dry: {{north: main}}, severity: P0}}
        """,
    )

    assert ["north"] == [finding["subject"] for finding in outcome.result("supply")["findings"]]


def test_a_cause_that_is_waived_explains_nothing(plumbing):
    plumbing.policy("""
        expectations:
          - {id: pipes, check: pipe.whole, burst: [main], severity: P2}
          - {id: supply, check: tank.supply, dry: {north: main}, severity: P0}
        waivers:
          - {id: pipes, reason: it is being replaced, owner: maria, expires: 2099-01-01}
    """)

    outcome = plumbing.judge()

    assert ("waived", "violated") == (outcome.verdicts["pipes"], outcome.verdicts["supply"])
    assert ["north"] == [finding["subject"] for finding in outcome.result("supply")["findings"]]


def test_only_selected_expectations_explain(plumbing):
    outcome = judge(
        plumbing,
        """
          - {id: pipes, check: pipe.whole, burst: [main], severity: P2}
          - {id: supply, check: tank.supply, dry: {north: main}, severity: P0}
        """,
        "-k",
        "supply",
    )

    assert ["north"] == [finding["subject"] for finding in outcome.result("supply")["findings"]]
