"""What a policy may say of indexes, and what it may not."""

import pytest
from pydantic import ValidationError

from opscheck import PostgresTarget
from opscheck.systems.postgres.indexes import (
    ListDuplicateIndexes,
    ListInvalidIndexes,
    ListUnusedIndexes,
    PostgresIndexes,
)
from opscheck.testing import expect

TARGET = PostgresTarget(kind="postgres", dsn="postgresql://someone@127.0.0.1/shop")


def indexes(**fields) -> PostgresIndexes:
    return expect(PostgresIndexes, TARGET, **fields)


def test_a_limit_is_needed():
    with pytest.raises(ValidationError, match=r"at least one limit \(invalid, duplicates, unused\)"):
        indexes(severity="P2")


def test_only_what_has_a_limit_is_asked():
    assert [ListInvalidIndexes("target")] == list(indexes(invalid={"P2": 0}).queries())
    assert [ListDuplicateIndexes("target", "a"), ListDuplicateIndexes("target", "b")] == list(
        indexes(duplicates={"P3": "0B"}, databases=["a", "b"]).queries()
    )


def test_for_how_long_an_index_is_unused_is_a_part_of_the_question():
    (question,) = indexes(unused={"P3": "100MB"}, unused_for="7d").queries()

    assert ListUnusedIndexes("target", None, unused_for_s=7 * 86400) == question
    assert "the indexes that nobody has used for 7 days in the database of the dsn" == question.text()


def test_only_what_is_being_built_needs_a_right():
    expectation = indexes(invalid={"P2": 0}, duplicates={"P3": "0B"}, unused={"P3": "0B"})

    assert ["GRANT pg_read_all_stats"] == [
        permission.text().partition(":")[0] for query in expectation.queries() for permission in query.permissions()
    ]
