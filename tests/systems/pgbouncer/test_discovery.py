"""What is proposed for a real PgBouncer."""

from opscheck.demo.postgres import installed_versions
from opscheck.systems.pgbouncer.discovery import discover
from opscheck.systems.postgres.discovery import discover as discover_postgres
from tests.discovery.looking import discovered, proposals
from tests.servers.pgbouncer import PgBouncer


def test_console_is_proposed_with_its_pools(clusters, pgbouncer_program):
    server = clusters(next(iter(installed_versions().values())))
    with PgBouncer(server, pgbouncer_program, max_client_conn="10") as bouncer:
        found = discovered(discover, POOLER_URL=bouncer.dsn())

    assert [(one.id, one.fields["kind"]) for one in found.targets] == [("pooler", "pgbouncer")]
    assert "clients connected" in proposals(found)["pooler-pools"].reason
    assert found.not_seen == ()


def test_console_that_is_down_is_proposed_with_the_defaults():
    environ = {"POOLER_URL": "postgresql://a:planted-4711@127.0.0.1:1/pgbouncer"}
    found = discovered(discover, **environ)

    assert proposals(found)["pooler-pools"].fields["waited"] == {"P2": "1s", "P0": "5s"}
    assert found.not_seen[0].startswith("pooler: pools not read: ")
    assert "planted-4711" not in repr(found)
    assert discovered(discover_postgres, **environ).targets == ()
