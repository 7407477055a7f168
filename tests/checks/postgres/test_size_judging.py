"""The evaluation of sizes and sequences, without a server."""

from datetime import timedelta

import pytest

from checks.postgres.test_size import test_databases_have_room_to_grow as check
from opscheck import PostgresTarget, Severity
from opscheck.core.findings import Findings, judge_all
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind, Sample
from opscheck.systems.postgres.size import (
    REMOVE_LIMIT,
    SHOW_SEQUENCE,
    WIDEN_COLUMN,
    WIDEN_SEQUENCE,
    DatabaseSize,
    LargestRelations,
    PostgresSize,
    ReadSizes,
    Relations,
    RelationSize,
    Sequence,
    Sequences,
    SequencesAnswer,
    Sizes,
)
from opscheck.testing import NOON, Answers, expect
from tests.servers.typed_commands import commands_of

TARGET = PostgresTarget(kind="postgres", dsn="postgresql://someone@127.0.0.1/shop")
DAY = timedelta(days=1)
GB = 10**9
REFUSED = Problem(kind=ProblemKind.DENIED, text="permission denied for database vault")


def sizes(system: str = "one", **databases: int | None) -> Sizes:
    rows = tuple(
        DatabaseSize(name=name, oid=number, bytes=size) for number, (name, size) in enumerate(databases.items())
    )
    return Sizes(role="opscheck", current="shop", system=system, databases=rows)


def relations(**tables: int) -> Relations:
    largest = tuple(RelationSize(name=name, bytes=size, table_bytes=size // 2) for name, size in tables.items())
    return Relations(place="one/0", largest=largest)


def judged(answers, earlier=None, **fields) -> tuple[Findings, Problem | None]:
    """The findings, and the first problem."""
    expectation = expect(PostgresSize, TARGET, **fields)
    findings = Findings(expectation)
    try:
        check(expectation, observe=Answers(answers, NOON, earlier or {}), findings=findings)
    except CouldNotObserve as error:
        return findings, error.problem
    return findings, None


def test_partly_known_total_beyond_the_limit_is_violated():
    answers = {ReadSizes("target", None): sizes(shop=3 * GB, vault=None)}
    findings, problem = judged(answers, total={"P1": "2GB"})

    assert [Severity.P1] == [one.severity for one in findings.violations]
    assert problem is not None
    assert "may not read the size of database vault" in problem.text


def test_partly_known_total_within_the_limit_is_unknown():
    answers = {ReadSizes("target", None): sizes(shop=1 * GB, vault=None)}
    findings, problem = judged(answers, total={"P1": "2GB"})

    assert [] == findings.measurements
    assert problem is not None


def test_missing_evidence_does_not_change_the_verdict():
    answers = {ReadSizes("target"): sizes(shop=3 * GB), LargestRelations("target"): REFUSED}
    findings, problem = judged(answers, size={"P1": "2GB"})

    assert problem is None
    assert ("largest relations unknown: permission denied for database vault",) == (findings.violations[0].evidence)
    assert {"database": "shop"} == findings.violations[0].facts


def test_growth_evidence_has_earlier_sizes():
    asked, tables = ReadSizes("target"), LargestRelations("target")
    answers = {asked: sizes(shop=5 * GB), tables: relations(orders=3 * GB, notes=GB)}
    earlier = {
        asked: [Sample(taken_at=NOON - DAY, answer=sizes(shop=4 * GB))],
        tables: [Sample(taken_at=NOON - DAY, answer=relations(orders=2 * GB))],
    }
    findings, _ = judged(answers, earlier, growth={"P3": "20%", "P2": "50%"})
    (finding,) = findings.violations

    assert ("growth in 1d 25% (5GB, 4GB 1d ago)", "<= 20%") == (finding.observed, finding.expected)
    assert ("orders 3GB (indexes 1.5GB), before 2GB", "notes 1GB (indexes 500MB)") == finding.evidence


@pytest.mark.parametrize(("ago", "grown"), [(DAY / 2, 2 * GB), (DAY, GB), (DAY * 2, GB / 2)])
def test_growth_is_scaled_to_the_period(ago, grown):
    answers = {ReadSizes("target"): sizes(shop=5 * GB), LargestRelations("target"): relations()}
    earlier = {ReadSizes("target"): [Sample(taken_at=NOON - ago, answer=sizes(shop=4 * GB))]}
    findings, _ = judged(answers, earlier, grown={"P3": "9GB"})

    assert grown in [one.value for one in findings.measurements if one.name == "grown in 1d"]


def test_sample_of_another_system_is_not_compared():
    answers = {ReadSizes("target"): sizes(shop=5 * GB), LargestRelations("target"): relations()}
    earlier = {ReadSizes("target"): [Sample(taken_at=NOON - DAY, answer=sizes("another", shop=GB))]}
    findings, problem = judged(answers, earlier, grown={"P3": "1GB"})

    assert [] == findings.violations
    assert problem is not None
    assert ProblemKind.FIRST_SAMPLE == problem.kind


def test_unknown_growth_does_not_hide_sizes_and_sequences():
    answers = {
        ReadSizes("target"): sizes(shop=5 * GB),
        LargestRelations("target"): relations(),
        Sequences("target"): SequencesAnswer(database="shop", role="opscheck", seen=1, most_used=(sequence(used=90),)),
    }
    findings, problem = judged(answers, size={"P1": "1GB"}, sequences={"P2": "75%"}, grown={"P3": "1GB"})

    assert ["database shop", "public.numbers in database shop"] == [one.subject for one in findings.violations]
    assert problem is not None
    assert ProblemKind.FIRST_SAMPLE == problem.kind


def sequence(**fields) -> Sequence:
    given = {
        "schema": "public",
        "name": "numbers",
        "type": "bigint",
        "last_value": 9,
        "limit": 10,
        "used": 90,
        "left": 1,
    }
    return Sequence(**({"limited_by": "type"} | given | fields))


@pytest.mark.parametrize(
    ("fields", "detail", "remedies"),
    [
        ({}, "9 of 10, the limit of its type bigint; 1 value left", ()),
        ({"limited_by": "maxvalue"}, "9 of 10, its maxvalue; 1 value left", (REMOVE_LIMIT,)),
        ({"type": "integer"}, "9 of 10, the limit of its type integer; 1 value left", (WIDEN_SEQUENCE,)),
        (
            {"limited_by": "column", "table_schema": "s", "table": "t", "column": "c", "column_type": "integer"},
            "9 of 10, the limit of s.t.c (integer); 1 value left",
            (WIDEN_COLUMN,),
        ),
    ],
)
def test_sequence_limit_is_reported_with_its_remedy(fields, detail, remedies):
    answer = SequencesAnswer(database="shop", role="opscheck", seen=1, most_used=(sequence(**fields),))
    findings, _ = judged({Sequences("target"): answer}, sequences={"P2": "75%"})
    (finding,) = findings.violations

    assert finding.observed == f"sequence used 90% ({detail})"
    assert finding.remediation.commands == commands_of(SHOW_SEQUENCE, *remedies)
    table = {"table_schema", "table", "column"} if WIDEN_COLUMN in remedies else set()
    assert {"database", "schema", "sequence", "type", "limit"} | table == finding.facts.keys()


def test_first_unknown_part_is_reported_after_the_others():
    told = []

    def part(name: str, *, fails: bool):
        def run() -> None:
            told.append(name)
            if fails:
                raise CouldNotObserve(None, Problem(kind=ProblemKind.LATE, text=name))

        return run

    with pytest.raises(CouldNotObserve, match="second"):
        judge_all(part("first", fails=False), part("second", fails=True), part("third", fails=True))

    assert ["first", "second", "third"] == told
