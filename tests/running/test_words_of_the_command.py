"""What writes somewhere needs the policy's word and the command's, plain, on two workers and without xdist."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from opscheck.demo.serving import Exchange, LoopbackServer, Response

CHECK = '''
from dataclasses import dataclass

from opscheck import Expectation, Findings, HttpTarget, Observe
from opscheck.systems.http.request import HttpAnswer, HttpRequest


@dataclass(frozen=True)
class FillTank(HttpRequest, name="tank.fill"):
    """Fills the tank."""

    limit_s: float = 30.0

    @property
    def time_limit_s(self):
        return self.limit_s


class Filling(Expectation, check="tank.filling"):
    """The tank can be filled."""

    changes_its_target = True
    target: HttpTarget
    path: str = "/"
    """Where it is filled."""
    limit: float = 30.0
    """How many seconds it may take."""

    def queries(self):
        """Fill it."""
        return [FillTank(target=self.target.name, path=self.path, limit_s=self.limit)]


def test_tank_is_filled(expectation: Filling, observe: Observe, findings: Findings) -> None:
    """The tank can be filled."""
    (query,) = expectation.queries()
    findings.measure("status", observe(query).status)
'''
POLICY = """
    targets: {{tank: {{kind: http, base_url: "{url}", timeout: {timeout}}}}}
    expectations:
      - {{id: filling, check: tank.filling, target: tank, path: {path}, severity: P1}}
      - {{id: page, check: tank.page, target: tank, path: /page, severity: P1}}
"""


class Tank:
    """How often it was filled."""

    def __init__(self) -> None:
        self.filled = 0
        self.server = LoopbackServer(self._answer)

    def _answer(self, exchange: Exchange) -> None:
        if exchange.request.path != "/page":
            self.filled += 1
        if exchange.request.path == "/slow":
            exchange.pause(0.6)
        exchange.send(Response(200, b"ok"))


@pytest.fixture(name="tank")
def _tank() -> Iterator[Tank]:
    tank = Tank()
    with closing(tank.server):
        yield tank


def test_drill_is_skipped_without_its_option(project, tank):
    project.check("test_filling.py", CHECK)
    project.policy(POLICY.format(url=tank.server.url, path="/", timeout="5s"))

    outcome = project.judge()

    assert {"filling": "skipped", "page": "passed"} == outcome.verdicts
    assert "--drill" in outcome.result("filling")["summary"]
    assert (0, 0) == (outcome.ret, tank.filled)


def test_drill_runs_once_with_its_option(project, tank):
    project.check("test_filling.py", CHECK)
    project.policy(POLICY.format(url=tank.server.url, path="/", timeout="5s"))

    assert {"filling": "passed", "page": "passed"} == project.judge("--drill").verdicts
    assert 1 == tank.filled


def test_snapshot_of_a_drill_is_judged_without_running_it(project, tank):
    project.check("test_filling.py", CHECK)
    project.policy(POLICY.format(url=tank.server.url, path="/", timeout="5s"))
    project.judge("--drill", "--save=snapshot")

    assert "skipped" == project.judge("--from=snapshot").verdicts["filling"]
    assert "passed" == project.judge("--from=snapshot", "--drill").verdicts["filling"]
    assert 1 == tank.filled


def test_query_may_override_the_timeout_of_its_target(project, tank):
    project.check("test_filling.py", CHECK)
    project.policy(POLICY.format(url=tank.server.url, path="/slow", timeout="100ms"))

    assert "passed" == project.judge("--drill").verdicts["filling"]
