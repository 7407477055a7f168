"""`pgbouncer.pools` on a real PgBouncer whose clients are served, wait, or are not let in."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest

from checks.pgbouncer.test_pools import test_clients_get_a_server_connection as check
from opscheck import Severity
from opscheck.core.findings import Findings
from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.record import Finding
from opscheck.core.templates import expectation_facts, render
from opscheck.demo.postgres import DATABASE, installed_versions
from opscheck.systems.pgbouncer.pools import (
    ENABLE_DATABASE,
    RESUME,
    RESUME_DATABASE,
    SHOW_CLIENTS,
    SHOW_LIMIT,
    SHOW_SERVER,
    ListPools,
    PgbouncerPools,
    Pools,
)
from opscheck.systems.pgbouncer.probe import open_session
from opscheck.systems.pgbouncer.target import PgbouncerTarget
from opscheck.testing import expect
from opscheck.transport.processes import wait_until
from tests.servers.looking import look, missing
from tests.servers.pgbouncer import PgBouncer
from tests.servers.typed_commands import commands_of, type_command

ODD = "odd-name.of-it"
WAITED = {"P2": "100ms", "P0": "1h"}

Judged = Callable[..., Findings]


@pytest.fixture(name="bouncer", scope="module")
def _bouncer(clusters, pgbouncer_program) -> Iterator[PgBouncer]:
    server = clusters(next(iter(installed_versions().values())))
    dead = {"dead": "host=127.0.0.1 port=9"}  # port 9: no process listens
    more = dead | {"reports": f"dbname={DATABASE} pool_size=5 max_db_connections=4", ODD: f"dbname={DATABASE}"}
    with PgBouncer(server, pgbouncer_program, databases=more, max_client_conn="10") as bouncer:
        yield bouncer


@pytest.fixture(name="judged")
def _judged(bouncer: PgBouncer) -> Judged:
    def judge_now(role: str = "opscheck", /, database: str = "pgbouncer", **fields) -> Findings:
        return look(check, PgbouncerPools, PgbouncerTarget(kind="pgbouncer", dsn=bouncer.dsn(role, database)), **fields)

    return judge_now


def test_pools_without_waits_pass_and_are_measured(bouncer, judged):
    with psycopg.connect(bouncer.dsn("app", DATABASE), autocommit=True) as client:
        client.execute("SELECT 1")
        findings = judged(waited={"P2": "1s"}, servers={"P2": "80%"}, clients={"P2": "75%"}, severity="P1")

    assert [] == findings.violations
    measured = {(one.name, one.subject): (one.value, one.limit) for one in findings.measurements}
    where = f"postgresql://127.0.0.1:{bouncer.port}/pgbouncer"
    assert (10, 75) == measured["clients connected", where]
    assert (0, 1) == measured["longest wait for a server connection", f"pool {DATABASE}/app"]
    assert (0, 80) == measured["server connections in use", f"pool {DATABASE}/app"]


def test_clients_that_wait_too_long_are_reported_with_pool(bouncer, judged):
    with bouncer.waiting_clients(3):
        wait_until(lambda: waits(bouncer) > 0.2, 10, "nobody waits for long")
        (finding,) = judged(waited=WAITED).violations

    assert (Severity.P2, f"pool {DATABASE}/app", "<= 100ms") == (
        finding.severity,
        finding.subject,
        finding.expected,
    )
    assert finding.observed.endswith("(3 clients wait)")
    assert finding.evidence[0].startswith("2 of 2 server connections in use, 0 idle in transaction mode; 2 clients")
    assert {"database": DATABASE, "user": "app", "pool_size": "2"} == finding.facts
    assert finding.since is not None


def waits(bouncer: PgBouncer) -> float:
    pool = bouncer.pool()
    return pool["maxwait"] + pool["maxwait_us"] / 1_000_000


def test_clients_without_a_server_wait_at_login(bouncer, judged):
    with ThreadPoolExecutor(1) as pool:
        refused = pool.submit(psycopg.connect, bouncer.dsn("app", "dead"), connect_timeout=20)
        found: list[Finding] = []

        def waits_at_login() -> bool:
            found[:] = judged(waited=WAITED).violations
            return bool(found)

        wait_until(waits_at_login, 15, "no client waits at login")
        bouncer.say("KILL dead")
        bouncer.say("RESUME dead")
        with pytest.raises(psycopg.OperationalError):
            refused.result(30)

    assert [one.subject for one in found] == ["pool dead/app"]
    assert found[0].observed.endswith("(1 client waits, no server connection is open)")
    assert found[0].remediation.commands == commands_of(SHOW_SERVER)


def test_short_waits_pass(bouncer, judged):
    with bouncer.waiting_clients(3):
        assert [] == judged(waited={"P2": "30s"}).violations


def test_full_pool_is_violated(bouncer, judged):
    with bouncer.waiting_clients(1):
        (finding,) = judged(servers={"P2": "80%"}).violations

    assert "server connections in use 100% (2 of 2)" == finding.observed


def test_database_is_judged_by_its_own_limit(bouncer, judged):
    with psycopg.connect(bouncer.dsn("app", "reports"), autocommit=True) as client:
        client.execute("SELECT 1")
        (finding,) = judged(servers={"P3": "20%"}, pools=["integration_db/*"]).violations

    assert ("database reports", {"database": "reports"}) == (finding.subject, finding.facts)
    assert finding.remediation.commands == commands_of(SHOW_LIMIT)
    assert "server connections 25% (1 of 4, its own max_connections)" == finding.observed


def test_clients_are_judged_by_max_client_conn(bouncer, judged):
    clients = [psycopg.connect(bouncer.dsn("app", DATABASE)) for _ in range(8)]
    try:
        (finding,) = judged(clients={"P2": "75%"}).violations
    finally:
        for client in clients:
            client.close()

    assert "clients connected 80% (8 of 10)" == finding.observed
    assert {"max_clients": "10"} == finding.facts
    assert finding.remediation.commands == commands_of(SHOW_CLIENTS)


@pytest.mark.parametrize(
    ("order", "back", "observed", "remedy"),
    [
        ("pause", "resume", "paused: clients wait", RESUME_DATABASE),
        ("disable", "enable", "disabled: new clients are refused", ENABLE_DATABASE),
    ],
)
def test_paused_or_disabled_database_is_violated(bouncer, judged, order, back, observed, remedy):  # noqa: PLR0913, PLR0917 -- a case
    getattr(bouncer, order)("reports")
    try:
        (finding,) = judged(waited=WAITED, severity="P1").violations
        accepted = judged(waited=WAITED, severity="P1", may_be_paused=["rep*"])
    finally:
        getattr(bouncer, back)("reports")

    assert (Severity.P1, "database reports", observed) == (finding.severity, finding.subject, finding.observed)
    assert {"database": "reports"} == finding.facts
    assert finding.remediation.commands == commands_of(remedy)
    assert [] == accepted.violations


def test_named_pool_that_is_missing_is_unknown(bouncer, judged):
    problem = missing(lambda: judged(waited=WAITED, pools=["shop/*"]))

    assert (ProblemKind.UNSUPPORTED, "no pool matches shop/*") == (problem.kind, problem.text)


@pytest.mark.parametrize(
    ("database", "kind", "text", "advice"),
    [
        ("pgbouncer", ProblemKind.DENIED, "not allowed", "stats_users"),
        ("nowhere", ProblemKind.UNSUPPORTED, "no such database: nowhere", "its console, `pgbouncer`"),
        (DATABASE, ProblemKind.UNSUPPORTED, "not the console of PgBouncer", "name the database pgbouncer"),
    ],
)
def test_user_without_rights_gets_advice(bouncer, database, kind, text, advice):
    with pytest.raises(ProbeError) as raised:
        ask(bouncer.dsn("app", database))

    assert kind == raised.value.problem.kind
    assert text in raised.value.problem.text
    assert advice in raised.value.problem.advice


def ask(dsn: str) -> Pools:
    with closing(open_session(PgbouncerTarget(kind="pgbouncer", dsn=dsn), 5)) as session:
        return session.ask(ListPools("pool"), 5)


def test_suggested_commands_run(bouncer, judged):
    with bouncer.waiting_clients(1):
        wait_until(lambda: waits(bouncer) > 0.2, 10, "nobody waits for long")
        (finding,) = judged(waited=WAITED).violations
        printed = type_in(bouncer, finding)

    assert 2 == len(printed)
    assert "waiter-1" in printed[0] or "waiting" in printed[0]
    assert "transaction" in printed[1]


@pytest.mark.parametrize("database", ["reports", ODD])
def test_suggested_command_resumes_paused_database(bouncer, judged, database):
    quoted = '"' + database.replace('"', '""') + '"'
    bouncer.pause(quoted)
    bouncer.disable(quoted)
    found = judged(waited=WAITED, severity="P1").violations
    for finding in found:
        type_in(bouncer, finding)
    (row,) = (row for row in bouncer.say("SHOW DATABASES") if row["name"] == database)

    assert 2 == len(found)
    assert (0, 0) == (row["paused"], row["disabled"])


def test_suggested_command_resumes_paused_pgbouncer(bouncer):
    bouncer.say("PAUSE")
    expectation = expect(PgbouncerPools, PgbouncerTarget(kind="pgbouncer", dsn=bouncer.dsn()), waited=WAITED)
    type_in(bouncer, expectation.finding(subject="PgBouncer", observed="", expected="", remedies=(RESUME,)))

    assert not any(row["paused"] for row in bouncer.say("SHOW DATABASES"))


def type_in(bouncer: PgBouncer, finding: Finding) -> list[str]:
    """The output of each command of the finding, typed by an administrator."""
    target = PgbouncerTarget(kind="pgbouncer", dsn=bouncer.dsn("bouncer_admin"))
    facts = expectation_facts(expect(PgbouncerPools, target, waited=WAITED)) | finding.facts
    commands = [render(one, facts | {"subject": finding.subject}) for one in finding.remediation.commands]
    return [type_command(command or "", {}) for command in commands]
