"""What is counted between two runs is judged from the second one on, plain, on two workers and without xdist."""

import json
from collections.abc import Callable, Iterator

import pytest

from opscheck.demo.serving import Exchange, LoopbackServer, Response

CHECK = '''
from dataclasses import dataclass

from opscheck import Count, Findings, Graded, HttpTarget, Observe
from opscheck.core.intervals import OverInterval
from opscheck.systems.http.request import HttpAnswer, HttpRequest
from opscheck.core.intervals import interval

HttpAnswer.epoch = property(lambda answer: answer.headers["x-epoch"])


@dataclass(frozen=True)
class CountVisits(HttpRequest, name="tank.visits", remembered=True):
    """Asks how many visitors there were."""


class Visits(OverInterval, check="tank.visits"):
    """Not too many visitors come."""

    target: HttpTarget
    more: Graded[Count]
    """How many may have come."""
    late: bool = False
    """Whether it is asked only when it is judged."""

    def visits(self):
        return CountVisits(target=self.target.name, path="/late" if self.late else "/")

    def queries(self):
        """How many visitors there were."""
        return [] if self.late else [self.visits()]


def test_visits_are_few(expectation: Visits, observe: Observe, findings: Findings) -> None:
    """Not too many visitors come."""
    over = interval(expectation, expectation.visits(), observe)
    before = int(over.earlier.body) if over.earlier else 0
    findings.grade("visitors", int(over.now.body) - before, expectation.more, subject="tank", detail=over.text)
'''
POLICY = """
    targets: {{api: {{kind: http, base_url: "{url}"}}}}
    expectations:
      - {{id: visits, check: tank.visits, target: api, interval: 1ms, more: {{P2: 1}}}}
      - {{id: late, check: tank.visits, target: api, interval: 1ms, more: {{P2: 1}}, late: true}}
"""
BOTH = {"visits", "late"}


class Counter:
    """How many visitors there were; each question adds `step`."""

    def __init__(self) -> None:
        self.step, self.epoch, self.requests = 1, "first", 0
        self._visits: dict[str, int] = {}

    def __call__(self, exchange: Exchange) -> None:
        """Answer with the count."""
        self.requests += 1
        path = exchange.request.path
        self._visits[path] = self._visits.get(path, 0) + self.step
        exchange.send(Response(body=str(self._visits[path]).encode(), headers={"X-Epoch": self.epoch}))


@pytest.fixture(name="counter")
def _counter() -> Counter:
    return Counter()


@pytest.fixture(name="prepare")
def _prepare(counter: Counter) -> Iterator[Callable]:
    """Writes the check and the policy of a project."""
    with LoopbackServer(counter) as server:

        def prepare(project, policy=POLICY, **fields):
            project.check("test_visits.py", CHECK)
            project.policy(policy.format(url=server.url, **fields))
            return project

        yield prepare


def summaries(outcome) -> list[str]:
    return [outcome.result(name)["summary"] for name in ("visits", "late")]


def test_second_run_judges_the_interval(project, prepare, counter):
    prepare(project)

    first = project.judge("--state=state/samples.db")
    second = project.judge("--state=state/samples.db")
    counter.step = 5
    third = project.judge("--state=state/samples.db")

    assert (20, dict.fromkeys(BOTH, "unknown")) == (first.ret, first.verdicts)
    unknown = "first sample: no earlier sample; counters need an interval of 1ms"
    assert [unknown, unknown] == summaries(first)
    assert (0, dict.fromkeys(BOTH, "passed")) == (second.ret, second.verdicts)
    assert (1, dict.fromkeys(BOTH, "violated")) == (third.ret, third.verdicts)
    (finding,) = third.result("visits")["findings"]
    assert ("tank", "P2", "<= 1") == (finding["subject"], finding["severity"], finding["expected"])
    assert finding["observed"].startswith("visitors 5 (over ")
    assert 6 == counter.requests


def test_run_without_a_state_file_advises_state(project, prepare):
    outcome = prepare(project).judge()

    told = "first sample: no state file; run twice with --state FILE"
    assert (20, [told, told]) == (outcome.ret, summaries(outcome))


def test_unreadable_state_file_is_reported(project, prepare):
    (project.path / "state.db").write_text("this is a diary\n" * 100)

    outcome = prepare(project).judge("--state=state.db")

    reason = "the state file state.db cannot be read: file is not a database; move it away"
    assert 3 == outcome.ret == outcome.run["gate"]["exit_code"]
    assert all(summary.startswith(f"first sample: {reason}") for summary in summaries(outcome))
    assert f"opscheck: --state: {reason}" in outcome.out
    assert "opscheck: --state: the state file state.db cannot be written: file is not a database" in outcome.out
    assert "Traceback" not in outcome.out


def test_reset_counters_start_a_new_interval(plain_project, prepare, counter):
    prepare(plain_project).judge("--state=state.db")
    counter.epoch = "second"

    after = plain_project.judge("--state=state.db")
    again = plain_project.judge("--state=state.db")

    assert all("first sample: counters were reset between" in summary for summary in summaries(after))
    assert dict.fromkeys(BOTH, "passed") == again.verdicts


def test_a_snapshot_brings_its_earlier_samples_and_touches_no_state_file(plain_project, prepare, counter):
    prepare(plain_project).judge("--state=state.db")
    counter.step = 5
    saved = plain_project.judge("--state=state.db", "--save=snapshot.json", "--only=visits")
    asked, state = counter.requests, (plain_project.path / "state.db").read_bytes()

    again = plain_project.judge("--from=snapshot.json", "--state=state.db", "--only=visits")

    assert {"visits": "violated"} == saved.verdicts == again.verdicts
    assert saved.result("visits")["summary"] == again.result("visits")["summary"]
    assert (asked, state) == (counter.requests, (plain_project.path / "state.db").read_bytes())


def test_workers_judge_the_earlier_samples_that_the_controller_has_read(project_of_processes, prepare):
    plain_project = project_of_processes
    prepare(plain_project).judge("--state=state.db", "-n2")
    plain_project.judge("--state=state.db", "--save=snapshot.json", "-n2")

    entries = json.loads((plain_project.path / "snapshot.json").read_text())["observations"]

    assert ["1"] == [sample["answer"]["body"] for entry in entries for sample in entry["observation"]["earlier"]]


def test_collect_only_stores_no_sample(plain_project, prepare):
    prepare(plain_project).judge("--state=state.db", "--collect-only")

    assert not (plain_project.path / "state.db").exists()


def test_the_policy_may_judge_the_lifetime_at_the_first_sample(plain_project, prepare):
    first = POLICY.replace("interval: 1ms", "interval: 1ms, first_sample: lifetime")

    outcome = prepare(plain_project, first).judge("--state=state.db")

    assert dict.fromkeys(BOTH, "passed") == outcome.verdicts


def test_missing_answer_stores_no_sample(plain_project, prepare, counter):
    prepare(plain_project).judge("--state=state.db")
    text = (plain_project.path / "policy.yaml").read_text()

    (plain_project.path / "policy.yaml").write_text(text.replace("http://127.0.0.1", "http://127.0.0.1:1/"))
    down = plain_project.judge("--state=state.db")
    (plain_project.path / "policy.yaml").write_text(text)
    up = plain_project.judge("--state=state.db")

    assert not any("first sample" in summary for summary in summaries(down))
    assert dict.fromkeys(BOTH, "passed") == up.verdicts


def test_directory_as_state_file_is_rejected_before_any_query(plain_project, prepare, counter):
    outcome = prepare(plain_project).judge("--state=checks")

    assert (4, 0) == (outcome.ret, counter.requests)
    assert "--state: expected a file to write, checks is a directory" in outcome.out


@pytest.mark.parametrize(
    ("file", "reason"),
    [("/dev/full", "not a regular file"), ("policy.yaml/state.db", "its folder is a file")],
    ids=["a-device", "below-a-file"],
)
def test_unwritable_file_keeps_verdicts_and_exits_3(plain_project, prepare, file, reason):
    outcome = prepare(plain_project).judge(f"--state={file}")

    assert (3, dict.fromkeys(BOTH, "unknown")) == (outcome.ret, outcome.verdicts)
    assert f"opscheck: --state: the state file {file} cannot be written: {reason}" in outcome.out


def test_run_without_remembered_queries_needs_no_state_file(plain_project):
    plain_project.policy("expectations: [{id: low, check: tank.level, level: 1, at_most: {P2: 5}}]")

    assert 0 == plain_project.judge("--state=/dev/full").ret
