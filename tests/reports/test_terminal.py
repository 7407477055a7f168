"""The terminal summary, held to text files that a person has read."""

import re
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
import sample_runs as sample
from hypothesis import given
from hypothesis import strategies as st

from opscheck.core.record import Counts, Finding, Measurement, Result, Verdict
from opscheck.core.units import Severity
from opscheck.reports.summary import measured
from opscheck.reports.terminal import summary
from opscheck.reports.text import width_of

EXPECTED = Path(__file__).parent / "expected"

SUMMARIES = {
    "everything-100": (sample.EVERYTHING, 100, False),
    "everything-60": (sample.EVERYTHING, 60, False),
    "everything-verbose-100": (sample.EVERYTHING, 100, True),
    "all-well-100": (sample.ALL_WELL, 100, False),
    "all-well-verbose-60": (sample.ALL_WELL, 60, True),
    "only-unknown-100": (sample.ONLY_UNKNOWN, 100, False),
    "nothing-100": (sample.NOTHING, 100, False),
    "many-100": (sample.MANY, 100, False),
    "hostile-60": (sample.HOSTILE, 60, False),
}


@pytest.mark.parametrize("name", SUMMARIES)
def test_summary_equals_the_expected_file(name):
    run, width, verbose = SUMMARIES[name]

    assert (EXPECTED / f"{name}.txt").read_text() == summary(run, width=width, colour=False, verbose=verbose)


@pytest.mark.parametrize("name", SUMMARIES)
def test_colour_adds_styles_and_changes_no_text(name):
    run, width, verbose = SUMMARIES[name]
    coloured = summary(run, width=width, colour=True, verbose=verbose)

    assert "\x1b[" in coloured
    assert summary(run, width=width, colour=False, verbose=verbose) == re.sub(r"\x1b\[[0-9;]*m", "", coloured)


@pytest.mark.parametrize("run", [sample.EVERYTHING, sample.HOSTILE, sample.MANY])
@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_only_commands_and_addresses_are_wider_than_the_terminal(run, width):
    text = summary(run, width=width, colour=False)
    wide = [line for line in text.splitlines() if width_of(line) > width]

    assert [] == [line for line in wide if not line.startswith(("    ", "  runbook")) and " · policies/" not in line]


def test_target_text_is_escaped_in_the_terminal():
    text = summary(sample.HOSTILE, width=100, colour=False, verbose=True)

    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202e]", text)


@given(
    st.lists(st.sampled_from(["a", "b", "c", "d", None]), min_size=4, max_size=4),
    st.lists(st.sampled_from(list(Severity)), min_size=4, max_size=4),
)
def test_every_unknown_result_is_shown(blockers, severities):
    results = [
        Result(id=f"id-{name}", check="x.y", title="", verdict=Verdict.UNKNOWN, severity=severity, blocked_by=blocker)
        for name, severity, blocker in zip(
            "abcd", severities, [f"id-{one}" if one else None for one in blockers], strict=True
        )
    ]
    text = summary(sample.run_of(*results, fail_on="never"), width=100, colour=False)

    assert {"id-a", "id-b", "id-c", "id-d"} == set(re.findall(r"id-[abcd]", text))


def test_outage_is_sorted_by_the_worst_result_it_blocks():
    text = summary(sample.EVERYTHING, width=100, colour=False)

    assert re.findall(r"^(P\d \w+) +([\w-]+):", text, re.MULTILINE) == [
        ("P0 VIOLATED", "pods"),
        ("P0 VIOLATED", "connections"),
        ("P1 VIOLATED", "backup-age"),
        ("P2 UNKNOWN", "replica-connections"),
        ("P3 VIOLATED", "errors"),
    ]
    assert "  blocks    replica-lag (P1), replica-slots\n" in text


def test_every_command_has_a_line_of_its_own():
    lines = summary(sample.EVERYTHING, width=60, colour=False).splitlines()
    commands = {
        command
        for result in sample.EVERYTHING.results
        for finding in result.findings
        for command in finding.remediation.commands
    }

    assert {f"    {command}" for command in commands} <= set(lines)


def test_times_count_from_the_observation():
    old = sample.NOW - timedelta(days=3)
    run = msgspec.structs.replace(sample.ONLY_UNKNOWN, observed_at=old)

    assert "Judged from a snapshot of 2026-02-26 03:12 UTC, 2d23h before this run.\n" in summary(
        run, width=100, colour=False
    )


@pytest.mark.parametrize(
    ("run", "line"),
    [
        (sample.run_of(*sample.PASSED), "RESULT: PASSED (exit 0): 3 passed in 5.32s"),
        (
            sample.run_of(*sample.PASSED, sample.ERRORS, fail_on="P1"),
            "RESULT: PASSED (exit 0): 1 below the gate (P1); 1 violated, 3 passed in 5.32s",
        ),
        (
            sample.run_of(msgspec.structs.replace(sample.PODS, advisory=True), fail_on="never"),
            "RESULT: PASSED (exit 0): --fail-on never; 1 violated in 5.32s",
        ),
        (
            sample.run_of(sample.PODS, fail_on="P0", exit_code=1),
            "RESULT: FAILED (exit 1): 1 violated at P0; 1 violated in 5.32s; first response due 03:27 UTC",
        ),
        (
            sample.run_of(*sample.PASSED, exit_code=1),
            "RESULT: FAILED (exit 1): a test that judges no expectation failed; 3 passed in 5.32s",
        ),
        (
            sample.run_of(*sample.PASSED, exit_code=2),
            "RESULT: INTERRUPTED (exit 2): the run was interrupted; 3 passed in 5.32s",
        ),
        (
            sample.run_of(*sample.PASSED, exit_code=3),
            "RESULT: ERROR (exit 3): opscheck itself failed; 3 passed in 5.32s",
        ),
        (
            sample.run_of(*sample.PASSED, exit_code=21, counts=Counts(declared=5, reported=3, passed=3)),
            "RESULT: UNTRUSTED (exit 21): 2 of 5 expectations have no verdict; 3 passed in 5.32s",
        ),
        (sample.run_of(exit_code=5), "RESULT: FAILED (exit 5): pytest ended with 5; 0 expectations in 5.32s"),
        (
            sample.run_of(
                *(
                    msgspec.structs.replace(sample.REPLICA, id=f"unknown-{number}", severity=Severity.P1)
                    for number in range(8)
                ),
                exit_code=20,
            ),
            (
                "RESULT: UNKNOWN (exit 20): could not be evaluated: unknown-0 (P1), unknown-1 (P1), unknown-2 (P1), "
                "unknown-3 (P1), unknown-4 (P1), unknown-5 (P1) and 2 more; 8 unknown in 5.32s"
            ),
        ),
    ],
)
def test_last_line_is_the_result_with_its_reason(run, line):
    assert line == summary(run, width=200, colour=False).splitlines()[-1]


def test_expectation_blocked_by_an_absent_one_is_shown():
    text = summary(sample.run_of(sample.BLOCKED[0], exit_code=20), width=100, colour=False)

    assert "P1 UNKNOWN  replica-lag: The replica follows\n  reason    blocked by replica-connections:" in text


def test_findings_before_an_outage_are_shown():
    """It closes the gate, and nobody else tells it."""
    found = Finding(subject="replica-lag", severity=Severity.P1, observed="5m", expected="<= 1m")
    partly = msgspec.structs.replace(sample.BLOCKED[0], findings=(found,))
    text = summary(sample.run_of(sample.REPLICA, partly, sample.BLOCKED[1], exit_code=1), width=100, colour=False)

    assert "P1 UNKNOWN  replica-lag: The replica follows\n  reason    blocked by replica-connections:" in text
    assert "  replica-lag: 5m (expected <= 1m)\n" in text
    assert "  blocks    replica-slots\n" in text


def test_findings_follow_the_reason_of_unknown():
    partly = msgspec.structs.replace(
        sample.REPLICA,
        severity=Severity.P0,
        summary="half of it did not answer",
        findings=(Finding(subject="replica-1", severity=Severity.P3, observed="90%", expected="<= 80%"),),
    )

    text = summary(sample.run_of(partly, exit_code=1), width=80, colour=False)

    assert "P0 UNKNOWN  replica-connections" in text
    assert text.index("half of it did not answer") < text.index("P3 replica-1: 90% (expected <= 80%)")
    assert "RESULT: FAILED (exit 1): 1 unknown in 5.32s" in text


def test_a_run_that_skips_everything_has_checked_nothing():
    run = sample.run_of(msgspec.structs.replace(sample.PASSED[0], verdict=Verdict.SKIPPED), exit_code=21)

    assert "RESULT: UNTRUSTED (exit 21): nothing was checked, all was skipped" in summary(run, width=80, colour=False)


def test_summary_fits_into_the_smallest_terminal_and_its_rows_equal_the_counts():
    broken = [
        msgspec.structs.replace(sample.REPLICA, id=f"expectation-{number}", severity=Severity(f"P{number % 4}"))
        for number in range(60)
    ]
    text = summary(sample.run_of(*broken, *sample.PASSED, exit_code=20), width=80, colour=False)
    rows = text[text.index("SUMMARY\n") :].splitlines()
    grouped = [int(count) for count in re.findall(r"^  P\d UNKNOWN +(\d+) more ", text, re.MULTILINE)]

    assert len(rows) <= 24
    assert rows[1].startswith("  P0 UNKNOWN   expectation-0")
    assert 60 == len([row for row in rows if "  expectation-" in row and " more " not in row]) + sum(grouped)
    assert "  3 passed" in rows


def test_verbose_summary_has_a_row_for_each():
    broken = [msgspec.structs.replace(sample.REPLICA, id=f"expectation-{number}") for number in range(60)]
    text = summary(sample.run_of(*broken, exit_code=20), width=80, colour=False, verbose=True)

    assert 60 == len(re.findall(r"^  P2 UNKNOWN   expectation-", text, re.MULTILINE))


def test_quiet_prints_the_summary_and_the_result_only():
    text = summary(sample.EVERYTHING, width=100, colour=False, quiet=True)

    assert text.startswith("SUMMARY\n  P0 VIOLATED  pods ")
    assert text.endswith("first response due 03:27 UTC\n")


def test_run_in_which_many_passed_counts_them_by_system():
    passed = [
        msgspec.structs.replace(sample.PASSED[0], id=f"expectation-{number}", check=f"{system}.one")
        for number, system in enumerate(["redis"] * 10 + ["postgres"] * 21)
    ]

    text = summary(sample.run_of(*passed), width=100, colour=False)
    few = summary(sample.run_of(*passed[1:]), width=100, colour=False)

    assert "PASSED\n  postgres  21 passed\n  redis     10 passed\n" in text
    assert 30 == few.count("  expectation-")


@pytest.mark.parametrize("whole", [True, False])
def test_evidence_is_cut_at_a_terminal_and_never_where_output_is_piped(whole):
    text = summary(sample.EVERYTHING, width=60, colour=False, whole=whole)

    assert whole == ("62  integration-worker  idle in transaction, oldest 3h4m" in text)
    assert whole == ("…\n" not in text.partition("SUMMARY")[0])


def test_count_that_must_be_present_is_not_close_to_a_limit():
    present = Measurement(name="certificates", value=1, limit=1, margin=0)
    used = Measurement(name="certificates used", value=8, limit=9, margin=1)

    def text(measurement):
        result = msgspec.structs.replace(sample.PASSED[0], measurements=(measurement,))
        return summary(sample.run_of(result), width=100, colour=False)

    assert "closest to a limit" not in text(present)
    assert "closest to a limit: api-health: certificates used 8 (<= 9)\n" in text(used)


@pytest.mark.parametrize(
    ("measurement", "text"),
    [
        (Measurement(name="used", value=50, unit="%", limit=75, margin=25), "used 50% (<= 75%)"),
        (Measurement(name="used", value=80, unit="%", limit=75, margin=-5), "used 80% (<= 75%)"),
        (Measurement(name="left", value=50, unit="%", limit=25, margin=25), "left 50% (>= 25%)"),
        (Measurement(name="left", value=20, unit="%", limit=25, margin=-5), "left 20% (>= 25%)"),
        (Measurement(name="left", value=25, unit="%", limit=25, margin=0), "left 25% (limit 25%)"),
        (Measurement(name="left", value=25, unit="%"), "left 25%"),
    ],
)
def test_limit_is_printed_with_its_comparator(measurement, text):
    assert text == measured(measurement)


def test_waived_and_advisory_results_have_no_due_deadline():
    waived = msgspec.structs.replace(sample.PODS, verdict=Verdict.WAIVED)
    advisory = msgspec.structs.replace(sample.PODS, id="advisory", advisory=True)

    failed = summary(sample.run_of(waived, advisory, sample.BACKUPS, exit_code=1), width=200, colour=False)
    passed = summary(sample.run_of(waived, advisory, fail_on="P0"), width=200, colour=False)

    assert failed.endswith("; first response due 04:12 UTC\n")
    assert "first response due" not in passed


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("run", [sample.EVERYTHING, sample.MANY, sample.ONLY_UNKNOWN])
def test_table_cuts_no_word(run, width):
    table = summary(run, width=width, colour=False).partition("SUMMARY\n")[2]
    whole = summary(run, width=1000, colour=False, verbose=True)
    words = {word.strip(",;:…") for word in whole.split()}

    assert [word for word in table.split() if word.strip(",;:…") not in words | {"more"}] == []


def test_piped_table_is_whole():
    table = summary(sample.EVERYTHING, width=60, colour=False, whole=True).partition("SUMMARY\n")[2]

    assert "…" not in table
