"""Reachability and latency of Redis and Valkey servers."""

from statistics import median

from opscheck import Findings, Observe
from opscheck.core.units import format_duration
from opscheck.systems.redis.ping import SLOW, STATE_REMEDIES, UNREACHABLE, PingAnswer, RedisPong
from opscheck.systems.redis.servers import STATES, Server, each_server


def test_the_server_says_pong(expectation: RedisPong, observe: Observe, findings: Findings) -> None:
    """
    Redis responds to PING within the latency limit.

    Sessions, locks, queues and caches that use it wait or fail. A running server can refuse too: while it loads its
    data, with a full disk, or with too many clients.
    """

    def judge(server: Server[PingAnswer], here: Findings) -> None:
        if not expectation.target.is_one_server:  # its own URL does not lead to this one
            here = here.on(server.address, url=server.address)
        problem = server.reply.problem
        if problem is not None and (severity := expectation.no_answer(problem)) is not None:
            here.add(
                observed=problem.text,
                expected="PONG",
                severity=severity,
                evidence=(problem.advice,) if problem.advice else (),
                remedies=[UNREACHABLE],
            )
            return
        answer = server.answer
        if answer.refusal is None:
            latency, detail = ping_latency(answer), described(answer)
            here.grade("latency", latency, expectation.latency, unit="s", detail=detail, remedies=[SLOW])
            return
        state = STATES[answer.refusal]
        here.measure("connected in", answer.connect_s, unit="s")
        here.add(
            observed=state.observed,
            expected="PONG",
            evidence=(answer.error, state.meaning),
            remedies=[STATE_REMEDIES[answer.refusal]],
        )

    each_server(expectation, expectation.ping(), observe, findings, judge)


def ping_latency(answer: PingAnswer) -> float:
    """The median round trip in seconds. The first PING is left out: a new connection is slower than an open one."""
    return median(answer.pings_s[1:] or answer.pings_s)


def described(answer: PingAnswer) -> str:
    """The details of the latency."""
    return f"median of {len(answer.pings_s[1:]) or 1}, connected in {format_duration(answer.connect_s)}"
