"""The server's identity: its version, its role, and the role of opscheck."""

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


def test_identity_has_version_and_role(server, asked):
    assert f"PostgreSQL {server.version}, primary" == asked().place
    assert ("opscheck", "") == (asked().user, asked().warning)


def test_superuser_has_a_warning(asked):
    found = asked("postgres")

    assert ("superuser",) == found.groups
    assert "opscheck logs in as the superuser postgres" in found.warning


def test_newer_server_gets_the_newest_statements(server, asked, monkeypatch):
    monkeypatch.setattr(server_readers, "NEWEST_KNOWN", server.major - 1)

    assert asked().place == (
        f"PostgreSQL {server.version}, primary; newer than opscheck supports, queried like {server.major - 1}"
    )


def test_newest_statement_serves_newer_and_oldest_is_the_limit():
    by_major = Versions({12: "old", 17: "new"})

    assert ["old", "old", "new", "new"] == [by_major.chosen(major) for major in (12, 16, 17, 23)]
    with pytest.raises(ProbeError) as raised:
        by_major.chosen(11)
    assert ProblemKind.UNSUPPORTED == raised.value.problem.kind
    assert "PostgreSQL 11 is not supported: this needs 12 or later" == raised.value.problem.text


def test_major_version_comes_from_the_number(server, stack):
    session = open_session(PostgresTarget(kind="postgres", dsn=server.dsn()), 10)
    stack.callback(session.close)

    assert server.major == statements.major_version(session._home.connection)
