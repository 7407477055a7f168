"""Both checks on chosen answers, and in a healthy and a broken world of a real server."""

import socket
import time
from datetime import timedelta

import msgspec
import pytest
from opscheck_memcached.checks.test_connections import test_connections as check_connections
from opscheck_memcached.checks.test_memory import test_memory as check_memory
from opscheck_memcached.connections import MemcachedConnections
from opscheck_memcached.memory import MemcachedMemory
from opscheck_memcached.probe import open_session
from opscheck_memcached.stats import ReadStats, Stats
from opscheck_memcached.target import MemcachedTarget

from opscheck import CouldNotObserve, ProbeError, ProblemKind, Sample, Severity
from opscheck.testing import NOON, expect, judge

QUERY = ReadStats("target")
TARGET = MemcachedTarget(kind="memcached", host="cache")
MEMORY = expect(MemcachedMemory, TARGET, used={"P2": "75%", "P1": "90%"})
EVICTIONS = expect(MemcachedMemory, TARGET, evictions={"P2": 10}, interval="1m")
CONNECTIONS = expect(MemcachedConnections, TARGET, used={"P1": "80%"})
STATS = Stats(version="1.6", started=1, used=10, limit=100, evictions=5, connections=5, max_connections=10)


def stats(**changed) -> Stats:
    return msgspec.structs.replace(STATS, **changed)


@pytest.mark.parametrize(("used", "severity"), [(74, None), (80, Severity.P2), (95, Severity.P1)])
def test_memory_is_graded(used, severity):
    findings = judge(check_memory, MEMORY, {QUERY: stats(used=used)})

    assert [one.severity for one in findings.violations] == ([] if severity is None else [severity])


def test_evictions_are_counted_between_two_runs():
    earlier = {QUERY: [Sample(taken_at=NOON - timedelta(minutes=5), answer=STATS)]}

    (finding,) = judge(check_memory, EVICTIONS, {QUERY: stats(evictions=30)}, earlier=earlier).violations

    assert finding.observed == "evictions 25 (over 5m)"


def test_evictions_before_a_restart_are_not_compared():
    earlier = {QUERY: [Sample(taken_at=NOON - timedelta(minutes=5), answer=STATS)]}

    with pytest.raises(CouldNotObserve):
        judge(check_memory, EVICTIONS, {QUERY: stats(evictions=30, started=2)}, earlier=earlier)


@pytest.mark.parametrize(("connections", "count"), [(8, 0), (9, 1)])
def test_connections_are_graded(connections, count):
    findings = judge(check_connections, CONNECTIONS, {QUERY: stats(connections=connections)})

    assert len(findings.violations) == count


def asked(port, **fields) -> Stats:
    session = open_session(MemcachedTarget(kind="memcached", host="127.0.0.1", port=port, **fields), 5)
    return session.ask(QUERY, 5)


def test_full_server_is_found(server):
    port = server("-m", "8")
    assert judge(check_memory, MEMORY, {QUERY: asked(port)}).violations == []

    with socket.create_connection(("127.0.0.1", port)) as client:
        for number in range(1000):
            client.sendall(b"set key%d 0 0 16000 noreply\r\n%s\r\n" % (number, b"x" * 16000))
        client.sendall(b"version\r\n")
        assert client.recv(100).startswith(b"VERSION")

    answer = asked(port)
    (finding,) = judge(check_memory, expect(MemcachedMemory, TARGET, used={"P1": "50%"}), {QUERY: answer}).violations
    assert finding.severity is Severity.P1
    assert answer.evictions > 0


def asked_until_refused(port):
    """Query until it refuses: memcached counts a connection only once a worker has taken it over."""
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        asked(port)
        time.sleep(0.05)


def test_server_with_many_clients_is_found(server):
    port = server("-c", "60", "-t", "1")
    limit = expect(MemcachedConnections, TARGET, used={"P1": "70%"})
    assert judge(check_connections, limit, {QUERY: asked(port)}).violations == []

    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(45)]

    assert len(judge(check_connections, limit, {QUERY: asked(port)}).violations) == 1
    clients += [socket.create_connection(("127.0.0.1", port)) for _ in range(30)]
    with pytest.raises(ProbeError, match="has reached its limit of connections"):
        asked_until_refused(port)
    for client in clients:
        client.close()


def test_server_with_users_refuses_a_stranger(server, tmp_path):
    users = tmp_path / "users"
    users.write_text("opscheck:right\n")
    port = server("-Y", str(users))

    assert asked(port, user="opscheck", password="right").limit > 0
    for fields in ({}, {"user": "opscheck", "password": "wrong"}):
        with pytest.raises(ProbeError) as refused:
            asked(port, **fields)
        assert refused.value.problem.kind is ProblemKind.DENIED
