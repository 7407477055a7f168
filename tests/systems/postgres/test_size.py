"""Valid and invalid expectations about sizes, and their queries."""

import pytest
from pydantic import ValidationError

from opscheck import PostgresTarget
from opscheck.systems.postgres.server import ConnectGrant, DatabaseNames, ListDatabases, ReadIdentity, SequenceGrant
from opscheck.systems.postgres.size import (
    READ_SIZES,
    DatabaseSize,
    LargestRelations,
    PostgresSize,
    ReadSizes,
    Sequences,
    Sizes,
)
from opscheck.testing import expect

TARGET = PostgresTarget(kind="postgres", dsn="postgresql://someone@127.0.0.1/shop")
THERE = DatabaseNames(names=("shop_one", "shop_two", "wiki"), current="wiki")
IDENTITY = ReadIdentity("target")
LIST = ListDatabases("target")
EVERY = ReadSizes("target", None)


def size(**fields) -> PostgresSize:
    return expect(PostgresSize, TARGET, **fields)


def further(expectation: PostgresSize, **sizes: int) -> set:
    databases = tuple(DatabaseSize(name=name, oid=1, bytes=size) for name, size in sizes.items())
    answers = {LIST: THERE, EVERY: Sizes(role="opscheck", current="wiki", system="7", databases=databases)}
    return set(expectation.follow_up_queries(answers.__getitem__))


def test_limit_is_required():
    with pytest.raises(ValidationError, match=r"at least one limit \(size, total, growth, grown, sequences\)"):
        size(severity="P1")


@pytest.mark.parametrize("limit", ["100%", {"P2": "75%", "P0": "100%"}])
def test_sequence_limit_of_100_percent_is_rejected(limit):
    with pytest.raises(ValidationError, match="a percentage below 100%"):
        size(sequences=limit, severity="P1")


@pytest.mark.parametrize(
    ("fields", "queries"),
    [
        ({"size": {"P2": "1GB"}}, {ReadSizes("target", ()), LargestRelations("target")}),
        ({"grown": {"P2": "1GB"}}, {ReadSizes("target", ()), LargestRelations("target")}),
        ({"total": {"P2": "1GB"}}, {ReadSizes("target", None)}),
        ({"sequences": {"P2": "75%"}}, {Sequences("target")}),
        ({"sequences": {"P2": "75%"}, "databases": ["a", "b"]}, {Sequences("target", "a"), Sequences("target", "b")}),
        (
            {"size": {"P2": "1GB"}, "databases": ["a", "b"]},
            {ReadSizes("target", ("a", "b")), LargestRelations("target", "a"), LargestRelations("target", "b")},
        ),
        ({"size": {"P2": "1GB"}, "databases": ["shop_*"]}, {ReadSizes("target", None), LIST}),
    ],
)
def test_only_limits_cause_queries(fields, queries):
    expectation = size(**fields)

    assert queries | {IDENTITY} == {*expectation.queries(), *expectation.evidence_queries()}


def test_pattern_is_queried_in_each_database():
    fields = {"size": {"P2": "1GB"}, "sequences": {"P2": "75%"}, "databases": ["shop_*"]}
    each = {Sequences("target", name) for name in ("shop_one", "shop_two")}

    assert each == further(size(**fields))


def test_pattern_causes_queries_for_limits_only():
    assert {Sequences("target", "shop_one")} == further(size(sequences={"P2": "75%"}, databases=["shop_one*"]))


def test_relations_of_a_pattern_are_read_for_findings_only():
    assert {LargestRelations("target", "wiki")} == further(size(size={"P2": "1GB"}, databases=["*"]), wiki=2 * 10**9)
    assert set() == further(size(size={"P2": "1GB"}, databases=["*"]), wiki=10**9)
    grown = further(size(grown={"P2": "1GB"}, databases=["wik?"]))
    assert {LargestRelations("target", "wiki")} == grown


def test_largest_relations_are_only_evidence():
    assert LargestRelations("target") in set(size(size={"P2": "1GB"}).evidence_queries())


@pytest.mark.parametrize(
    ("fields", "permissions"),
    [
        ({"size": {"P2": "1GB"}}, set()),
        ({"total": {"P2": "1GB"}}, {READ_SIZES}),
        ({"sequences": {"P2": "75%"}}, {SequenceGrant(None)}),
        ({"sequences": {"P2": "75%"}, "databases": ["a"]}, {SequenceGrant("a"), ConnectGrant("a")}),
        ({"size": {"P2": "1GB"}, "databases": ["a*"]}, {READ_SIZES, ConnectGrant("a*")}),
    ],
)
def test_required_rights_are_listed(fields, permissions):
    assert permissions == {one for query in size(**fields).described() for one in query.permissions()}


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (ReadSizes("target"), "the size of the database"),
        (ReadSizes("target", None), "the size of every database"),
        (ReadSizes("target", ("a", "b")), "the size of database a and b"),
        (Sequences("target", "a"), "the used share of each sequence in database a"),
        (LargestRelations("target"), "the largest relations in the database of the dsn"),
    ],
)
def test_queries_have_readable_texts(query, text):
    assert text == query.text()


def test_compared_answers_are_remembered():
    assert (True, True, False) == (ReadSizes.remembered, LargestRelations.remembered, Sequences.remembered)
