"""The job queue: a team's expectation of its own system, for which no bundled check exists."""

import json
from datetime import datetime
from typing import ClassVar

from opscheck import Count, Expectation, Findings, Graded, HttpTarget, Observe, Remedy
from opscheck.systems.http.request import HttpRequest

MORE_WORKERS = Remedy(
    "See whether the workers are well, and let more of them work",
    "curl -sS {{ base_url }}/queues/{{ queue }}",
    "kubectl scale deployment/{{ queue }}-workers --replicas={{ twice }}",
)


class QueueDepth(Expectation, check="acme.queue_depth"):
    """The queue drains: no more jobs wait than the limit."""

    remedies: ClassVar = (MORE_WORKERS,)
    fact_names: ClassVar = {"twice": "twice as many workers as there are"}

    target: HttpTarget
    """The API that counts the jobs."""
    queue: str
    """The queue's name."""
    waiting: Graded[Count]
    """Maximum number of waiting jobs."""

    def request(self) -> HttpRequest:
        """The request to the API."""
        return HttpRequest(self.target.name, path=f"/queues/{self.queue}")

    def queries(self) -> list[HttpRequest]:
        """One request. opscheck sends the queries of all expectations before any check runs."""
        return [self.request()]


def test_queue_drains(expectation: QueueDepth, observe: Observe, findings: Findings) -> None:
    """
    Jobs are taken from the queue as fast as they come.

    A queue that grows delays every customer behind it; the workers are usually down or blocked.
    """
    answer = observe(expectation.request())
    assert answer.status == 200, f"the API returns no queue named {expectation.queue}: status {answer.status}"

    queue = json.loads(answer.body)
    findings.grade(
        "waiting",
        queue["waiting"],
        expectation.waiting,
        subject=expectation.queue,
        unit="jobs",
        detail=f"{queue['workers']} workers",
        since=datetime.fromisoformat(queue["oldest"]) if queue["oldest"] else None,
        remedies=[MORE_WORKERS],
        facts={"twice": 2 * queue["workers"]},
    )
