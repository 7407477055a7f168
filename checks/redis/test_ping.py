"""Whether Redis and Valkey servers answer."""

from opscheck import Findings, Observe
from opscheck.expectations.redis import RedisPong
from opscheck.readings.redis import STATES, described, ping_latency


def test_the_server_says_pong(expectation: RedisPong, observe: Observe, findings: Findings) -> None:
    """
    The server says PONG, and soon.

    Everything that keeps its sessions, locks, queues or cache there waits or fails while this is false. A server can
    be up and refuse all the same: while it loads, when its disk is full, when too many clients are connected.
    """
    answer = observe(expectation.ping())
    address = expectation.target.address
    if answer.refusal is not None:
        state = STATES[answer.refusal]
        findings.measure("connected in", answer.connect_s, unit="s", subject=address)
        findings.add(
            subject=address,
            observed=state.observed,
            expected="PONG",
            evidence=(answer.error, state.meaning),
            facts={state.fact: address} if state.fact else {},
        )
        return
    findings.grade(
        "latency",
        ping_latency(answer),
        expectation.latency,
        unit="s",
        subject=address,
        detail=described(answer),
        facts={"slow": address},
    )
