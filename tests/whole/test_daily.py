"""The shipped daily policy on real servers: healthy, broken, silent, from a snapshot, and without a secret."""

import socket
from contextlib import ExitStack, contextmanager
from urllib.parse import unquote, urlsplit

import pytest


@contextmanager
def dropping_packets():
    """A port on which connections are neither taken nor refused: its backlog is full."""
    with ExitStack() as sockets:
        server = sockets.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            client = sockets.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield server.getsockname()[1]


@contextmanager
def broken(system, *faults):
    """The system with faults, repaired afterwards for the next test."""
    try:
        for fault in faults:
            system.environment.break_(fault)
        yield
    finally:
        for fault in faults:
            system.environment.repair(fault)


def test_healthy_system_passes_and_every_result_has_a_measurement(system):
    outcome = system.judge()

    assert 0 == outcome.ret, outcome.out
    assert {"passed"} == set(outcome.verdicts.values())
    assert all(result["measurements"] for result in outcome.run["results"])
    assert len(outcome.run["results"]) >= 8


def test_plain_pytest_and_two_workers_give_the_same_verdicts(system_of_processes):
    system = system_of_processes

    with broken(system, "workflows", "connections"):
        once = system.judge()
        plain = system.pytest()
        two_workers = system.pytest("-n2")

    assert 1 == once.ret == plain.ret == two_workers.ret
    assert once.verdicts == plain.verdicts == two_workers.verdicts
    assert once.run["counts"] == plain.run["counts"] == two_workers.run["counts"]


def test_full_connections_are_a_p0_finding_with_deadline_and_commands(system):
    with broken(system, "connections"):
        outcome = system.judge()

    (result,) = [result for result in outcome.run["results"] if result["id"] == "connections"]
    (finding,) = result["findings"]
    assert "P0" == finding["severity"]
    assert "connections used" in finding["observed"]
    assert finding["respond_by"]
    assert ["On-call Engineer", "Platform Team", "Engineering Manager"] == [
        one["notify"] for one in finding["escalate"]
    ]
    assert any("psql" in command for command in finding["remediation"]["commands"])


def test_stopped_cache_fails_the_gate(system):
    with broken(system, "cache"):
        outcome = system.judge()

    assert 1 == outcome.ret
    assert "violated" == outcome.verdicts["cache"]


def test_database_behind_dropped_packets_costs_one_timeout(system):
    with dropping_packets() as port:
        outcome = system.judge(DATABASE_URL=f"postgresql://opscheck:x@127.0.0.1:{port}/db")

    results = {result["id"]: result for result in outcome.run["results"]}
    assert 20 == outcome.ret
    assert results["connections"]["summary"].startswith("no answer in 5 s; check that the host is up")
    assert ("unknown", "connections") == (
        outcome.verdicts["connections-left"],
        results["connections-left"]["blocked_by"],
    )
    assert outcome.run["duration_s"] < 4 * 5  # seven wait for it, each 5 s, if they wait one after the other


def test_snapshot_is_judged_with_every_server_unreachable(system):
    with broken(system, "workflows", "errors"):
        live = system.judge("--save", "snapshot.json")
    nowhere = {"API_URL": "https://127.0.0.1:1", "DATABASE_URL": "postgresql://127.0.0.1:1/x"}
    nowhere |= {
        "API_ENDPOINT": "127.0.0.1:1",
        "REDIS_URL": "redis://127.0.0.1:1",
        "KUBECONFIG": "/nowhere",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    }

    again = system.judge("--from", "snapshot.json", **nowhere)

    assert live.verdicts == again.verdicts
    assert live.ret == again.ret == 1
    assert live.run["observed_at"] == again.run["observed_at"]


@pytest.mark.parametrize("how", ["run", "pytest"])
def test_planted_secret_is_in_no_output_of_a_failing_run(system, how):
    variables = system.environment.variables
    files = ["--save", "snapshot.json"]

    with broken(system, "api", "cache", "errors", "connections", "certificate", "backups"):
        if how == "run":
            outcome = system.judge("-v", "--junit", "junit.xml", *files)
        else:
            outcome = system.pytest("--showlocals", "-vv", "--junit-xml=junit.xml", "--save=snapshot.json")

    written = [path.read_bytes() for path in system.folder.iterdir() if path.is_file()]
    assert 1 == outcome.ret
    assert 4 == len(written)
    for secret in secrets_of(variables):
        assert 0 == sum(text.count(secret.encode()) for text in [outcome.out.encode(), *written])


def secrets_of(variables):
    passwords = [urlsplit(variables[name]).password for name in ("DATABASE_URL", "REDIS_URL")]
    return {variables["API_TOKEN"], variables["AWS_SECRET_ACCESS_KEY"], *passwords, *map(unquote, passwords)}
