"""The job queue: what a team expects of its own system, which no bundled check knows."""

import json
from datetime import datetime
from typing import ClassVar

from opscheck import Count, Expectation, Findings, Graded, HttpTarget, Observe, Remediation
from opscheck.systems.http.queries import HttpRequest


class QueueDepth(Expectation, check="acme.queue_depth"):
    """The queue drains: no more jobs wait than the limit."""

    fact_names: ClassVar = {"twice": "twice as many workers as there are"}
    default_remediation = Remediation(
        summary="See whether the workers are well, and let more of them work",
        commands=(
            "curl -sS {{ base_url }}/queues/{{ queue }}",
            "kubectl scale deployment/{{ queue }}-workers --replicas={{ twice }}",
        ),
    )

    target: HttpTarget
    """The API that counts the jobs."""
    queue: str
    """The queue's name."""
    waiting: Graded[Count]
    """How many jobs may wait."""

    def request(self) -> HttpRequest:
        """What is asked of the API."""
        return HttpRequest(self.target.name, path=f"/queues/{self.queue}")

    def queries(self) -> list[HttpRequest]:
        """One request; opscheck makes it before any check runs, together with everybody else's."""
        return [self.request()]


def test_queue_drains(expectation: QueueDepth, observe: Observe, findings: Findings) -> None:
    """
    Jobs are taken from the queue as fast as they come.

    A queue that grows delays every customer behind it; the workers are usually down or blocked.
    """
    answer = observe(expectation.request())
    assert answer.status == 200, f"the API does not tell of the queue {expectation.queue}: status {answer.status}"

    queue = json.loads(answer.body)
    findings.grade(
        "waiting",
        queue["waiting"],
        expectation.waiting,
        subject=expectation.queue,
        unit="jobs",
        detail=f"{queue['workers']} workers",
        since=datetime.fromisoformat(queue["oldest"]) if queue["oldest"] else None,
        facts={"twice": str(2 * queue["workers"])},
    )
