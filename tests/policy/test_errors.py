"""What a person reads when a policy is wrong."""

from opscheck.core.redaction import Secrets
from opscheck.policy.errors import Issue, PolicyError

ISSUE = Issue(
    "production.yaml",
    31,
    11,
    "expectations[connections].used",
    "expected a percentage such as 75%",
    "75",
    "did you mean 75%?",
)


def test_an_issue_is_one_line_that_begins_with_its_place():
    assert str(ISSUE) == (
        "production.yaml:31:11: expectations[connections].used: "
        "expected a percentage such as 75%, got 75; did you mean 75%?"
    )


def test_an_issue_of_a_whole_file_has_no_line():
    assert str(Issue("production.yaml", 0, 0, "", "no such file")) == "production.yaml: no such file"


def test_a_line_break_in_a_value_does_not_break_the_line():
    issue = Issue("p.yaml", 1, 1, "a\nb", "expected text", '"x\r\n\x1b[2J"')

    assert str(issue) == r'p.yaml:1:1: a\nb: expected text, got "x\r\n\x1b[2J"'


def test_issues_are_reported_once_in_line_order():
    early, late = Issue("a.yaml", 2, 9, "", "early"), Issue("a.yaml", 10, 1, "", "late")
    error = PolicyError([Issue("b.yaml", 1, 1, "", "other"), late, early, late])

    assert (early, late, Issue("b.yaml", 1, 1, "", "other")) == error.issues
    assert str(error) == "a.yaml:2:9: early\na.yaml:10:1: late\nb.yaml:1:1: other"


def test_an_issue_shows_no_secret():
    secrets = Secrets()
    secrets.add("open-sesame", "${TOKEN}")
    issue = Issue("a.yaml", 1, 1, "open-sesame", "not open-sesame", "open-sesame", "no open-sesame").without(secrets)

    assert str(issue) == "a.yaml:1:1: ${TOKEN}: not ${TOKEN}, got ${TOKEN}; no ${TOKEN}"
