"""Which server answers, in words: its version, its role, and whom it takes opscheck for."""

import pytest

from opscheck import PostgresTarget
from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.query import Identity
from opscheck.systems.postgres.probe import open_session, statements
from opscheck.systems.postgres.probe import server as server_readers
from opscheck.systems.postgres.probe.statements import Versions
from opscheck.systems.postgres.server import ReadIdentity


@pytest.fixture(name="asked")
def _asked(server, stack):
    def ask(role: str = "opscheck") -> Identity:
        session = open_session(PostgresTarget(kind="postgres", dsn=server.dsn(role)), 10)
        stack.callback(session.close)
        return session.ask(ReadIdentity("database"), 10)

    return ask


def test_a_server_says_its_version_and_its_role(server, asked):
    assert f"PostgreSQL {server.version}, primary" == asked().place
    assert ("opscheck", "") == (asked().user, asked().warning)


def test_a_superuser_is_warned_of(asked):
    found = asked("postgres")

    assert ("superuser",) == found.groups
    assert "opscheck logs in as the superuser postgres" in found.warning


def test_a_server_newer_than_all_that_are_known_is_asked_in_the_newest_words_and_it_is_said(server, asked, monkeypatch):
    monkeypatch.setattr(server_readers, "NEWEST_KNOWN", server.major - 1)

    assert asked().place == (
        f"PostgreSQL {server.version}, primary; it is newer than opscheck knows, "
        f"and is asked in the words of {server.major - 1}"
    )


def test_the_newest_statement_serves_what_comes_after_and_the_oldest_is_the_limit():
    by_major = Versions({12: "old", 17: "new"})

    assert ["old", "old", "new", "new"] == [by_major.chosen(major) for major in (12, 16, 17, 23)]
    with pytest.raises(ProbeError) as raised:
        by_major.chosen(11)
    assert ProblemKind.UNSUPPORTED == raised.value.problem.kind
    assert "PostgreSQL 11 is too old: this is judged from 12 on" == raised.value.problem.text


def test_a_version_is_read_from_its_number(server, stack):
    session = open_session(PostgresTarget(kind="postgres", dsn=server.dsn()), 10)
    stack.callback(session.close)

    assert server.major == statements.major_version(session._home.connection)
