"""What Redis and Valkey servers keep on disk."""

from opscheck import Findings, Observe
from opscheck.systems.redis.expectations.persistence import RedisPersistence
from opscheck.systems.redis.queries.info import ServerInfo
from opscheck.systems.redis.readings.persistence import failures, snapshots_count, unsaved
from opscheck.systems.redis.readings.servers import Server, each_server
from opscheck.systems.redis.readings.starting import loaded


def test_what_is_written_survives_a_restart(
    expectation: RedisPersistence, observe: Observe, findings: Findings
) -> None:
    """
    What is written survives a restart.

    What is in memory alone is lost when the process ends; and a server whose snapshot or append-only file fails
    refuses writes soon.
    """

    def judge(server: Server[ServerInfo]) -> None:
        info = loaded(server)
        for failure in failures(server, expectation):
            findings.add(
                subject=server.address,
                observed=failure.observed,
                expected=failure.expected,
                evidence=failure.evidence,
                facts={failure.fact: server.address},
            )
        if expectation.age is None or not snapshots_count(info, expectation):
            return
        changed = unsaved(server, expectation.age, observe.now)
        findings.grade(
            "not saved for",
            changed.seconds,
            expectation.age,
            unit="s",
            subject=server.address,
            detail=changed.detail,
            since=changed.since,
            facts={"unsaved": server.address},
        )

    each_server(expectation, expectation.info, observe, judge)
