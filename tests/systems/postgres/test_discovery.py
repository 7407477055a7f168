"""What is proposed for real PostgreSQL servers."""

import pytest

from opscheck.demo.postgres import PostgreSQL
from opscheck.systems.postgres.discovery import _who, discover
from tests.discovery.looking import discovered, proposals
from tests.servers.clients import client
from tests.servers.replication import replication

ALWAYS = {
    "database-activity",
    "database-connections",
    "database-locks",
    "database-settings",
    "database-size",
    "database-vacuum",
}


@pytest.fixture(scope="module", name="pair")
def _pair():
    with replication(names=("replica_b", "replica_a"), slots=True) as pair:
        yield pair


def test_primary_is_proposed_with_the_names_of_its_replicas(pair):
    found = discovered(discover, DATABASE_URL=pair.primary.dsn())

    assert [(one.id, one.fields) for one in found.targets] == [
        ("database", {"kind": "postgres", "dsn": "${DATABASE_URL}"})
    ]
    proposal = proposals(found)["database-replication"]
    assert proposal.fields["role"] == "primary"
    assert proposal.fields["replicas"] == ("replica_a", "replica_b")
    assert proposal.fields["slot_retained"] == {"P1": "5GB", "P0": "20GB"}
    assert "2 replicas: replica_a, replica_b." in proposal.reason
    assert pair.primary._passwords["opscheck"] not in repr(found)


def test_standby_is_proposed_with_its_own_lag(pair):
    found = proposals(discovered(discover, STANDBY_DSN=pair.standby.server.dsn()))

    assert found["standby-replication"].fields["role"] == "standby"
    assert found["standby-replication"].fields["lag"] == {"P2": "30s", "P1": "5m"}


def test_counts_are_in_the_comments_and_not_in_the_limits(pair):
    with client(pair.primary), client(pair.primary):
        found = proposals(discovered(discover, DATABASE_URL=pair.primary.dsn()))

    assert "2 of 25 connections in use." in found["database-connections"].reason
    assert found["database-connections"].fields == {"used": {"P2": "75%", "P0": "90%"}}
    assert found["database-size"].fields == {"size": {"P3": "100GB", "P2": "500GB"}}
    assert "(one sample: look again in a week)" in found["database-size"].reason


def test_server_without_archive_is_not_proposed_with_one(pair):
    found = discovered(discover, DATABASE_URL=pair.primary.dsn())

    assert "database-archiver" not in proposals(found)
    assert any("WAL archive not proposed: archive_mode is off" in sentence for sentence in found.not_seen)


def test_server_with_archive_is_proposed_with_it():
    with PostgreSQL(archive_mode="on", archive_command="test ! -f %p.never") as server:
        found = discovered(discover, DATABASE_URL=server.dsn())

    assert set(proposals(found)) == ALWAYS | {"database-archiver"}
    assert found.not_seen == ()


def test_server_that_is_down_is_proposed_with_the_defaults():
    found = discovered(discover, DATABASE_URL="postgresql://app:planted-4711@127.0.0.1:1/shop")

    assert set(proposals(found)) == ALWAYS
    (sentence,) = found.not_seen
    assert sentence.startswith("database: server not read: ")
    assert "planted-4711" not in repr(found)


def test_missing_privileges_are_reported_with_the_grant(pair):
    found = discovered(discover, DATABASE_URL=pair.primary.dsn("app"))

    assert set(proposals(found)) == ALWAYS | {"database-replication"}
    assert "replicas" not in proposals(found)["database-replication"].fields
    grants = [sentence for sentence in found.not_seen if "pg_read_all_stats" in sentence]
    assert any(sentence.startswith("database: connections not read: ") for sentence in grants)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("host=127.0.0.1 port=1 dbname=shop", ["database"]),
        ("postgres://127.0.0.1:1/shop", ["database"]),
        ("postgresql://127.0.0.1:1/pgbouncer", []),
        ("host=127.0.0.1 dbname=pgbouncer", []),
        ("mysql://127.0.0.1:1/shop", []),
        ("postgresql+psycopg://127.0.0.1:1/shop", []),
        ("shop", []),
    ],
)
def test_only_what_libpq_takes_is_a_target(value, expected):
    assert [one.id for one in discovered(discover, DATABASE_DSN=value).targets] == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["b", "a"], {"replicas": ("a", "b")}),
        (["a", "a"], {"minimum": {"P1": 2}}),
        (["walreceiver"], {"minimum": {"P1": 1}}),
        (["db-7d4f8b9c6-x2x9q", "a"], {"minimum": {"P1": 2}}),
    ],
    ids=["named", "same name", "default name", "pod"],
)
def test_replicas_without_a_lasting_name_are_counted(names, expected):
    assert _who(names) == expected
