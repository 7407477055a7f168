"""The PostgreSQL probe through a PgBouncer: it is answered, and leaves nothing set for the next client."""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from opscheck import PostgresTarget
from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.demo.postgres import DATABASE, PostgreSQL
from opscheck.systems.postgres.connections import Sessions
from opscheck.systems.postgres.probe import PostgresSession, open_session
from opscheck.systems.postgres.server import ListDatabases, ReadIdentity
from opscheck.systems.postgres.size import Sequences
from tests.servers.pgbouncer import PgBouncer

SETTINGS = ("default_transaction_read_only", "statement_timeout", "lock_timeout", "jit")
QUESTIONS = (ReadIdentity("pooled"), Sessions("pooled"), ListDatabases("pooled"), Sequences("pooled", DATABASE))


@pytest.fixture(name="bouncer")
def _bouncer(server: PostgreSQL, pgbouncer_program, mode: str) -> Iterator[PgBouncer]:
    # One connection, so that the next client gets the one that opscheck had; that is not reset between two clients.
    with PgBouncer(server, pgbouncer_program, pool_size=1, mode=mode, server_reset_query="") as bouncer:
        yield bouncer


def opened(bouncer: PgBouncer) -> PostgresSession:
    return open_session(PostgresTarget(kind="postgres", dsn=bouncer.dsn(database=DATABASE)), 2)


def settings_of(dsn: str) -> list[str]:
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as client:
        return [client.execute(f"SHOW {name}").fetchone()[0] for name in SETTINGS]


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_every_query_works_and_leaves_no_settings(server, bouncer):
    with closing(opened(bouncer)) as session:
        answers = [session.ask(question, 5) for question in QUESTIONS]

    assert all(answers)
    assert answers[1].occupancy is not None
    assert settings_of(server.dsn()) == settings_of(bouncer.dsn(database=DATABASE))


@pytest.mark.parametrize("mode", ["transaction"])
def test_many_sequences_are_read_through_transaction_pooling(server, bouncer, stack):
    owner = stack.enter_context(psycopg.connect(server.dsn("app"), autocommit=True))
    stack.callback(owner.execute, "DROP SCHEMA many CASCADE")
    owner.execute("CREATE SCHEMA many")
    owner.execute(
        "DO $$ BEGIN FOR number IN 1..450 LOOP EXECUTE format('CREATE SEQUENCE many.n_%s', number); END LOOP; END $$"
    )
    owner.execute("GRANT SELECT ON ALL SEQUENCES IN SCHEMA many TO opscheck")
    with closing(opened(bouncer)) as session:
        seen = session.ask(Sequences("pooled"), 10).seen

    assert 450 == seen
    assert settings_of(server.dsn()) == settings_of(bouncer.dsn(database=DATABASE))


@pytest.mark.parametrize("mode", ["statement"])
def test_statement_pooling_is_reported(bouncer):
    with closing(opened(bouncer)) as session, pytest.raises(ProbeError) as raised:
        session.ask(Sessions("pooled"), 5)

    assert ProblemKind.UNREADABLE == raised.value.problem.kind
    assert "a pool in session or transaction mode" in raised.value.problem.advice


@pytest.mark.parametrize("mode", ["transaction"])
@pytest.mark.parametrize(
    ("words", "kind", "advice"),
    [
        ("nowhere", ProblemKind.UNSUPPORTED, "name a database of pgbouncer.ini in the dsn"),
        (DATABASE, ProblemKind.UNREACHABLE, "ENABLE the database at PgBouncer's console"),
    ],
)
def test_refusal_of_pgbouncer_has_advice(bouncer, words, kind, advice):
    bouncer.disable()
    with pytest.raises(ProbeError) as raised:
        open_session(PostgresTarget(kind="postgres", dsn=bouncer.dsn(database=words)), 5)

    assert (kind, True) == (raised.value.problem.kind, raised.value.problem.target_down)
    assert raised.value.problem.advice.startswith(advice)


@pytest.mark.parametrize("mode", ["transaction"])
def test_paused_pool_is_late(bouncer):
    bouncer.pause()
    with pytest.raises(ProbeError) as raised, closing(opened(bouncer)) as session:
        session.ask(Sessions("pooled"), 1)

    assert ProblemKind.LATE == raised.value.problem.kind
