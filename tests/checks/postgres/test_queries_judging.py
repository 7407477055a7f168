"""The evaluation of statement counters between two runs, without a server."""

from datetime import UTC, datetime, timedelta

import pytest

from checks.postgres.test_queries import test_statements_are_fast as check
from opscheck import Findings, PostgresTarget
from opscheck.core.observation import ProblemKind, Sample
from opscheck.systems.postgres.queries import (
    EXPLAIN,
    SHOW_STATEMENT,
    CountStatements,
    PostgresQueries,
    ReadStatements,
    StatementCounters,
    StatementCounts,
    StatementText,
    StatementTexts,
)
from opscheck.testing import NOON, expect, judge
from tests.servers.looking import missing
from tests.servers.typed_commands import commands_of

TARGET = PostgresTarget(kind="postgres", dsn="postgresql://h/shop")
COUNTERS, TEXTS = CountStatements("target"), ReadStatements("target")
RESET = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def counts(calls: int, seconds: float, queryid: int = 1, **changed) -> StatementCounts:
    fields = {"role": "app", "database": "shop", "toplevel": True, "since": None} | changed
    return StatementCounts(queryid=queryid, calls=calls, milliseconds=seconds * 1000, **fields)


def counters(*statements: StatementCounts, **changed) -> StatementCounters:
    fields = {
        "system": "7",
        "reset": RESET,
        "started": RESET,
        "server_version": 180004,
        "extension_schema": "public",
        "most": 5000,
        "evictions": 0,
        "found": len(statements),
        "statements": statements,
    }
    return StatementCounters(**(fields | changed))


def judged(now: StatementCounters, before: StatementCounters | None = None, texts=(), **fields) -> Findings:
    expectation = expect(PostgresQueries, TARGET, **(fields or {"mean": {"P2": "1s"}}))
    earlier = {COUNTERS: [Sample(taken_at=NOON - timedelta(minutes=5), answer=before)] if before else []}
    return judge(check, expectation, {COUNTERS: now, TEXTS: StatementTexts(texts=tuple(texts))}, earlier=earlier)


def slow(findings: Findings) -> list[str]:
    return [f"{finding.subject}: {finding.observed}" for finding in findings.violations]


FAST, SLOW = counts(10_000, 10), counts(10_100, 260)  # 2.5 s each of the last hundred, 26 ms each of them all
FOUND = ["statement 1 of app in shop: mean execution time 2.5s (over 5m)"]


def test_only_the_interval_counts():
    assert slow(judged(counters(SLOW), counters(FAST))) == FOUND


def test_new_statement_counts_from_zero():
    assert slow(judged(counters(FAST, counts(100, 250, 2)), counters(FAST))) == [FOUND[0].replace("t 1", "t 2")]


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (counts(10_000, 1), counts(100, 250)),
        (counts(10, 1000), counts(100, 250)),
        (counts(90, 0, since=RESET), counts(190, 475, since=RESET + 60)),
    ],
    ids=["fewer calls", "less time", "counted since later"],
)
def test_evicted_statement_counts_from_zero(before, now):
    assert slow(judged(counters(now), counters(before))) == FOUND


def test_statements_differ_by_role_and_database():
    others = counts(0, 0, role="batch"), counts(0, 0, database="stock"), counts(0, 0, toplevel=False)

    assert [] == slow(judged(counters(FAST, *others), counters(FAST)))
    assert FOUND == slow(judged(counters(SLOW, *others), counters(FAST, *others)))


@pytest.mark.parametrize("changed", [{"system": "8"}, {"reset": RESET + 1}])
def test_another_cluster_or_reset_is_a_first_sample(changed):
    assert ProblemKind.FIRST_SAMPLE == missing(lambda: judged(counters(SLOW, **changed), counters(FAST))).kind


def test_restart_is_a_first_sample_without_reset_times():
    old = {"reset": None, "evictions": None}
    now, before = counters(SLOW, **old, started=RESET + 60), counters(FAST, **old)

    assert ProblemKind.FIRST_SAMPLE == missing(lambda: judged(now, before)).kind


def test_utility_statements_count_only_in_the_total():
    utility = StatementText(database="shop", queryid=2, utility=True, text="")
    limits = {"mean": {"P2": "1s"}, "share": {"P2": "50%"}}

    assert [] == slow(judged(counters(counts(100, 900, 2)), counters(), [utility], **limits))
    both = counters(counts(200, 100), counts(100, 900, 2))
    (share,) = (
        one for one in judged(both, counters(), [utility], **limits).measurements if one.name.startswith("share")
    )
    assert ("statement 1 of app in shop", 10) == (share.subject, share.value)


def test_time_inside_functions_counts_once():
    nested = counts(100, 30, 2, toplevel=False)
    (time,) = (
        one for one in judged(counters(counts(1, 30), nested), counters()).measurements if one.name == "execution time"
    )

    assert 30 == time.value


def test_unread_statements_are_unknown_if_possibly_slow():
    assert "3 statements not read, and possibly beyond a limit" == (
        missing(lambda: judged(counters(counts(100, 101), found=4), counters())).text
    )


def test_unread_statements_pass_if_none_can_be_slow():
    assert [] == slow(judged(counters(counts(1000, 99), found=4), counters()))


def test_statement_missing_in_earlier_sample_is_unknown():
    cut = counters(FAST, found=2)

    assert "1 statement not in the earlier sample, and possibly beyond a limit" == (
        missing(lambda: judged(counters(FAST, counts(500, 250, 2)), cut)).text
    )
    assert [] == slow(judged(counters(FAST, counts(500, 50, 2)), cut))


def test_violations_are_reported_with_unknown_statements():
    expectation = expect(PostgresQueries, TARGET, mean={"P2": "1s"})
    kept = Findings(expectation)

    def keep(expectation, observe, findings):
        check(expectation, observe, kept)

    answers = {COUNTERS: counters(SLOW, found=4), TEXTS: StatementTexts(texts=())}
    earlier = {COUNTERS: [Sample(taken_at=NOON - timedelta(minutes=5), answer=counters(FAST))]}
    missing(lambda: judge(keep, expectation, answers, earlier=earlier))

    assert FOUND == slow(kept)


def test_idle_server_is_not_judged_by_share():
    assert [] == slow(judged(counters(counts(1, 9)), counters(), share={"P2": "50%"}))


def test_evictions_count_in_the_interval():
    assert [] == slow(judged(counters(evictions=7), counters(evictions=7), evictions={"P3": 0}))
    assert 1 == len(judged(counters(evictions=8), counters(evictions=7), evictions={"P3": 0}).violations)


def test_uncounted_evictions_are_unknown():
    old = counters(evictions=None)

    assert "pg_stat_statements 1.9 or later" in missing(lambda: judged(old, old, evictions={"P3": 0})).text


def test_load_of_a_lifetime_without_start_is_unknown():
    old = counters(FAST, reset=None)
    lifetime = {"load": {"P3": 1.0}, "first_sample": "lifetime"}

    assert "the start of pg_stat_statements' counters is unknown" in missing(lambda: judged(old, **lifetime)).text


def test_plan_is_suggested_where_supported():
    text = StatementText(database="shop", queryid=1, utility=False, text="SELECT $1")
    (new,) = judged(counters(SLOW), counters(FAST), [text]).violations
    (old,) = judged(counters(SLOW, server_version=150004), counters(FAST), [text]).violations
    (odd,) = judged(counters(counts(100, 900, database="host=evil")), counters()).violations

    assert new.facts["database"] == "shop"
    assert new.remediation.commands == commands_of(SHOW_STATEMENT, EXPLAIN)
    assert old.remediation.commands == odd.remediation.commands == commands_of(SHOW_STATEMENT)


def test_statement_without_text_is_reported():
    (finding,) = judged(counters(SLOW), counters(FAST)).violations

    assert ("text unknown", "100 calls over 5m, 4m10s, 100% of all time") == finding.evidence
