"""What the counters of statements mean between two runs, without a server."""

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
from tests.servers.typing_in import commands_of

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


def test_it_is_the_interval_that_counts():
    assert slow(judged(counters(SLOW), counters(FAST))) == FOUND


def test_a_new_statement_has_all_its_calls_in_the_interval():
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
def test_a_statement_that_was_evicted_and_came_back_counts_from_nothing(before, now):
    assert slow(judged(counters(now), counters(before))) == FOUND


def test_the_same_statement_of_another_role_or_database_is_another_one():
    others = counts(0, 0, role="batch"), counts(0, 0, database="stock"), counts(0, 0, toplevel=False)

    assert [] == slow(judged(counters(FAST, *others), counters(FAST)))
    assert FOUND == slow(judged(counters(SLOW, *others), counters(FAST, *others)))


@pytest.mark.parametrize("changed", [{"system": "8"}, {"reset": RESET + 1}])
def test_another_cluster_or_a_reset_is_a_first_sample(changed):
    assert ProblemKind.FIRST_SAMPLE == missing(lambda: judged(counters(SLOW, **changed), counters(FAST))).kind


def test_a_restart_begins_anew_where_nobody_knows_of_resets():
    old = {"reset": None, "evictions": None}
    now, before = counters(SLOW, **old, started=RESET + 60), counters(FAST, **old)

    assert ProblemKind.FIRST_SAMPLE == missing(lambda: judged(now, before)).kind


def test_utility_statements_are_left_out_but_take_their_share():
    utility = StatementText(database="shop", queryid=2, utility=True, text="")
    limits = {"mean": {"P2": "1s"}, "share": {"P2": "50%"}}

    assert [] == slow(judged(counters(counts(100, 900, 2)), counters(), [utility], **limits))
    both = counters(counts(200, 100), counts(100, 900, 2))
    (share,) = (
        one for one in judged(both, counters(), [utility], **limits).measurements if one.name.startswith("share")
    )
    assert ("statement 1 of app in shop", 10) == (share.subject, share.value)


def test_what_a_function_executed_is_not_counted_twice():
    nested = counts(100, 30, 2, toplevel=False)
    (time,) = (
        one for one in judged(counters(counts(1, 30), nested), counters()).measurements if one.name == "execution time"
    )

    assert 30 == time.value


def test_more_statements_than_were_read_are_missing_where_one_may_be_slow():
    assert "3 more statements are counted than were read, and may be over a limit" == (
        missing(lambda: judged(counters(counts(100, 101), found=4), counters())).text
    )


def test_more_statements_than_were_read_are_well_where_none_can_be_slow():
    assert [] == slow(judged(counters(counts(1000, 99), found=4), counters()))


def test_what_the_earlier_sample_had_no_room_for_is_missing_where_it_may_be_slow():
    cut = counters(FAST, found=2)

    assert "1 statements were left out of the earlier sample, and may be over a limit" == (
        missing(lambda: judged(counters(FAST, counts(500, 250, 2)), cut)).text
    )
    assert [] == slow(judged(counters(FAST, counts(500, 50, 2)), cut))


def test_what_is_found_stands_beside_what_is_missing():
    expectation = expect(PostgresQueries, TARGET, mean={"P2": "1s"})
    kept = Findings(expectation)

    def keep(expectation, observe, findings):
        check(expectation, observe, kept)

    answers = {COUNTERS: counters(SLOW, found=4), TEXTS: StatementTexts(texts=())}
    earlier = {COUNTERS: [Sample(taken_at=NOON - timedelta(minutes=5), answer=counters(FAST))]}
    missing(lambda: judge(keep, expectation, answers, earlier=earlier))

    assert FOUND == slow(kept)


def test_an_idle_server_is_not_held_to_shares():
    assert [] == slow(judged(counters(counts(1, 9)), counters(), share={"P2": "50%"}))


def test_evictions_are_those_of_the_interval():
    assert [] == slow(judged(counters(evictions=7), counters(evictions=7), evictions={"P3": 0}))
    assert 1 == len(judged(counters(evictions=8), counters(evictions=7), evictions={"P3": 0}).violations)


def test_evictions_that_nobody_counts_are_missing():
    old = counters(evictions=None)

    assert "pg_stat_statements 1.9 and later" in missing(lambda: judged(old, old, evictions={"P3": 0})).text


def test_the_load_of_a_lifetime_without_a_beginning_is_missing():
    old = counters(FAST, reset=None)
    lifetime = {"load": {"P3": 1.0}, "first_sample": "lifetime"}

    assert "since when pg_stat_statements counts is not known" in missing(lambda: judged(old, **lifetime)).text


def test_a_plan_is_suggested_where_the_server_can_make_one():
    text = StatementText(database="shop", queryid=1, utility=False, text="SELECT $1")
    (new,) = judged(counters(SLOW), counters(FAST), [text]).violations
    (old,) = judged(counters(SLOW, server_version=150004), counters(FAST), [text]).violations
    (odd,) = judged(counters(counts(100, 900, database="host=evil")), counters()).violations

    assert new.facts["database"] == "shop"
    assert new.remediation.commands == commands_of(SHOW_STATEMENT, EXPLAIN)
    assert old.remediation.commands == odd.remediation.commands == commands_of(SHOW_STATEMENT)


def test_a_statement_without_a_text_is_told_without_it():
    (finding,) = judged(counters(SLOW), counters(FAST)).violations

    assert ("its text is not known", "100 calls over 5m, 4m10s in all, 100% of all") == finding.evidence
