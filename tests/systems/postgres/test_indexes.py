"""Valid and invalid expectations about indexes."""

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


def test_limit_is_required():
    with pytest.raises(ValidationError, match=r"at least one limit \(invalid, duplicates, unused\)"):
        indexes(severity="P2")


def test_only_limits_cause_queries():
    assert [ListInvalidIndexes("target")] == list(indexes(invalid={"P2": 0}).queries())
    assert [ListDuplicateIndexes("target", "a"), ListDuplicateIndexes("target", "b")] == list(
        indexes(duplicates={"P3": "0B"}, databases=["a", "b"]).queries()
    )


def test_unused_for_is_part_of_the_query():
    (question,) = indexes(unused={"P3": "100MB"}, unused_for="7d").queries()

    assert ListUnusedIndexes("target", None, unused_for_s=7 * 86400) == question
    assert "the indexes that were not used for 7 days in the database of the dsn" == question.text()


def test_only_invalid_indexes_need_a_right():
    expectation = indexes(invalid={"P2": 0}, duplicates={"P3": "0B"}, unused={"P3": "0B"})

    assert ["GRANT pg_read_all_stats"] == [
        permission.text().partition(":")[0] for query in expectation.queries() for permission in query.permissions()
    ]
