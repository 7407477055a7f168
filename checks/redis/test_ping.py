"""Whether Redis and Valkey servers answer."""

from opscheck import Findings, Observe
from opscheck.systems.redis.expectations.ping import RedisPong
from opscheck.systems.redis.queries.ping import PingAnswer
from opscheck.systems.redis.readings.ping import described, ping_latency
from opscheck.systems.redis.readings.servers import Server, each_server
from opscheck.systems.redis.readings.states import STATES


def test_the_server_says_pong(expectation: RedisPong, observe: Observe, findings: Findings) -> None:
    """
    The server says PONG, and soon.

    Everything that keeps its sessions, locks, queues or cache there waits or fails while this is false. A server can
    be up and refuse all the same: while it loads, when its disk is full, when too many clients are connected.
    """

    def judge(server: Server[PingAnswer]) -> None:
        problem = server.reply.problem
        if problem is not None and (severity := expectation.no_answer(problem)) is not None:
            findings.add(
                subject=server.address,
                observed=problem.text,
                expected="PONG",
                severity=severity,
                evidence=(problem.advice,) if problem.advice else (),
                facts={"server": server.address},
            )
            return
        answer, address = server.answer, server.address
        named = {"server": address} if server.of_several else {}
        if answer.refusal is None:
            findings.grade(
                "latency",
                ping_latency(answer),
                expectation.latency,
                unit="s",
                subject=address,
                detail=described(answer),
                facts={"slow": address} | named,
            )
            return
        state = STATES[answer.refusal]
        findings.measure("connected in", answer.connect_s, unit="s", subject=address)
        findings.add(
            subject=address,
            observed=state.observed,
            expected="PONG",
            evidence=(answer.error, state.meaning),
            facts=named | ({state.fact: address} if state.fact else {}),
        )

    each_server(expectation, expectation.ping(), observe, judge)
