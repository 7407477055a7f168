"""kubernetes.logs, over a real API server: lines are counted, and what was not read is never called quiet."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from checks.kubernetes import test_logs
from opscheck import Findings, KubernetesTarget, Severity
from opscheck.core.observation import CouldNotObserve, ProbeError, Problem, ProblemKind
from opscheck.core.record import Finding, Measurement
from opscheck.core.templates import expectation_facts, render
from opscheck.demo.kubernetes import KubernetesApi, LogLine, Response, World, pod, scripts, statuses
from opscheck.systems.kubernetes.logs import LogLines
from opscheck.systems.kubernetes.probe import open_session
from opscheck.testing import Answers, expect


@dataclass
class Outcome:
    """What the check found, and why it could not find everything."""

    violations: list[Finding]
    measurements: list[Measurement]
    problem: Problem | None = None


NOW = datetime.now(UTC)
WEB = {"app": "web"}
LOGS = "/api/v1/namespaces/shop/pods/web-1/log"


@pytest.fixture(name="world")
def _world():
    return World(pod("web-1", "shop", labels=WEB), pod("web-2", "shop", labels=WEB), pod("db-0", "shop"))


@pytest.fixture(name="api")
def _api(world):
    with KubernetesApi(world) as api:
        yield api


@pytest.fixture(name="judged")
def _judged(api, tmp_path):
    target = KubernetesTarget(kind="kubernetes", namespace="shop", kubeconfig=str(api.kubeconfig(tmp_path / "config")))
    session = open_session(target, 5)

    def judged(**fields) -> Outcome:
        given = {"selector": "app=web", "pattern": "ERROR", "window": "24h", "lines": {"P3": 10, "P2": 200}}
        expectation = expect(LogLines, target, **given | fields)

        def answer(query):
            try:
                return session.ask(query, 5)
            except ProbeError as error:
                return error.problem

        findings = Findings(expectation)
        try:
            test_logs.test_few_lines_match(expectation, observe=Answers(answer, NOW), findings=findings)
        except CouldNotObserve as missing:
            return Outcome(findings.violations, findings.measurements, missing.problem)
        return Outcome(findings.violations, findings.measurements)

    yield judged
    session.close()


def unknown(judged, **fields) -> Problem:
    outcome = judged(**fields)
    assert [] == outcome.violations
    return outcome.problem


def test_few_lines_are_a_pass_with_a_measurement(world, judged):
    world.log("web-1", "INFO fine", "ERROR once", namespace="shop")

    findings = judged()

    assert [] == findings.violations
    matching, lines = findings.measurements
    assert ("matching lines", 1, 10, 9) == (matching.name, matching.value, matching.limit, matching.margin)
    assert ("lines read", 2) == (lines.name, lines.value)


def test_lines_of_all_selected_pods_count_together_and_no_others(world, judged):
    for name in ("web-1", "web-2", "db-0"):
        world.log(name, *["ERROR again"] * 6, namespace="shop")

    (violation,) = judged().violations

    assert ("matching lines 12 (in 1d, 2 pods)", "<= 10") == (violation.observed, violation.expected)
    assert ("app=web in namespace shop", Severity.P3) == (violation.subject, violation.severity)


def test_the_most_frequent_message_is_told_first_and_who_wrote_it(world, judged):
    world.log("web-1", *[f"ERROR job {number} failed after {number} ms" for number in range(9)], namespace="shop")
    world.log("web-2", "ERROR out of paper", "ERROR job 77 failed after 1 ms", namespace="shop")

    (violation,) = judged().violations

    assert (
        "10 times in 2 pods: ERROR job 0 failed after 0 ms",
        "once in 1 pod: ERROR out of paper",
        "logged by web-1/app (9), web-2/app (2)",
    ) == violation.evidence
    assert {"pod": "web-1", "container": "app"}.items() <= violation.facts.items()


def test_secrets_in_messages_stay_there(world, judged):
    world.log(
        "web-1", *[f"ERROR 401 for Authorization: Bearer eyJhbGciOi.{n}abc.def" for n in range(11)], namespace="shop"
    )

    (violation,) = judged().violations

    assert "11 times in 1 pod: ERROR 401 for Authorization: ***" == violation.evidence[0]


def test_since_is_the_first_matching_line(world, judged):
    first = NOW - timedelta(hours=3)
    world.log(
        "web-1", LogLine(NOW - timedelta(hours=4), "INFO"), LogLine(first, "ERROR"), *["ERROR"] * 10, namespace="shop"
    )

    (violation,) = judged().violations

    assert first == violation.since


def test_lines_before_the_window_do_not_count(world, judged):
    world.log("web-1", *[LogLine(NOW - timedelta(minutes=61), "ERROR")] * 20, "INFO", namespace="shop")

    assert [] == judged(window="1h").violations


def test_capitals_matter_unless_the_policy_says_so(world, judged):
    world.log("web-1", *["error"] * 11, namespace="shop")

    assert [] == judged().violations
    assert 1 == len(judged(ignore_case=True).violations)


def test_lines_before_a_restart_count(world, judged):
    world.add(pod("web-1", "shop", labels=WEB, restarts=1, terminated=NOW - timedelta(minutes=30)))
    world.log("web-1", *["ERROR"] * 6, namespace="shop", previous=True)
    world.log("web-1", *["ERROR"] * 5, namespace="shop")

    (violation,) = judged().violations

    assert "matching lines 11 (in 1d, 2 pods)" == violation.observed
    assert "logged by web-1/app before its restart (6), web-1/app (5)" == violation.evidence[1]


def test_a_restart_before_the_window_does_not(api, world, judged):
    world.add(pod("web-1", "shop", labels=WEB, restarts=1, terminated=NOW - timedelta(hours=2)))
    world.log("web-1", *["ERROR"] * 20, namespace="shop", previous=True)

    assert [] == judged(window="1h").violations
    assert not [request for request in api.requests if "previous" in request.query]


def test_a_container_that_waits_for_its_restart_is_read_once(api, world, judged):
    world.add(pod("web-1", "shop", labels=WEB, waiting="CrashLoopBackOff", restarts=5, terminated=NOW))
    world.log("web-1", *["ERROR"] * 7, namespace="shop", previous=True)
    world.log("web-1", *["ERROR"] * 7, namespace="shop")

    assert [] == judged().violations
    assert 1 == len([request for request in api.requests if request.path == LOGS])


def test_every_container_is_read_and_one_can_be_chosen(world, judged):
    world.add(pod("web-1", "shop", labels=WEB, containers=("app", "proxy")))
    for container in ("app", "proxy"):
        world.log("web-1", *["ERROR"] * 6, namespace="shop", container=container)

    assert 1 == len(judged().violations)
    assert [] == judged(container="app").violations


def test_no_selected_pod_is_unknown(judged):
    problem = unknown(judged, selector="app=nope")

    assert "no pod matches app=nope in namespace shop (3 pods found)" == problem.text


def test_no_container_of_that_name_is_unknown(judged):
    assert "the selected pods have no container named nope" == unknown(judged, container="nope").text


def test_pods_that_have_not_started_have_no_log_yet(world, judged):
    world.add(pod("web-2", "shop", labels=WEB, phase="Pending", waiting="ContainerCreating"))
    world.log("web-1", "INFO", namespace="shop")

    assert [] == judged().violations


def test_when_none_has_started_it_is_unknown(world, judged):
    for name in ("web-1", "web-2"):
        world.add(pod(name, "shop", labels=WEB, phase="Pending", waiting="ImagePullBackOff"))

    assert "no selected container has started: web-1/app (ImagePullBackOff)" == unknown(judged).text


def test_silence_is_unknown_where_lines_are_expected(judged):
    assert [] == judged().violations
    assert "no line was logged in 1d" == unknown(judged, expect_lines=True).text


def test_a_log_that_may_not_be_read_is_unknown_and_names_the_grant(api, judged):
    api.deny("pods/log")

    problem = unknown(judged)

    assert ProblemKind.DENIED == problem.kind
    assert "get pods/log in namespace shop" in problem.text
    assert 'grant {apiGroups: [""], resources: ["pods/log"], verbs: ["get"]} with a Role in namespace shop' in (
        problem.advice
    )


def test_a_kubelet_that_does_not_answer_makes_it_unknown(api, judged):
    lost = 'Get "https://10.0.0.11:10250/containerLogs/shop/web-1/app": dial tcp 10.0.0.11:10250: i/o timeout'
    api.answer(LOGS, statuses.status(500, "InternalError", lost))

    assert f"1 of 2 logs could not be read: web-1/app: {lost}" == unknown(judged).text


def test_kubelet_error_in_place_of_a_log_is_not_a_line(api, judged):
    gone = "unable to retrieve container logs for containerd://c0ffee"
    api.answer(LOGS, Response(200, gone.encode(), "text/plain"))

    assert f"1 of 2 logs could not be read: web-1/app: {gone}" == unknown(judged).text


def test_a_log_that_breaks_off_is_one_that_could_not_be_read(api, world, judged):
    world.log("web-1", *["INFO"] * 20, namespace="shop")
    api.answer(LOGS, scripts.truncated())

    assert unknown(judged).text.startswith("1 of 2 logs could not be read: web-1/app: the answer to GET")


def test_a_pod_that_was_deleted_meanwhile_is_no_pod_any_more(api, world, judged):
    api.answer(LOGS, statuses.not_found("pods", "", "web-1"))

    world.log("web-2", *["ERROR"] * 11, namespace="shop")

    assert "matching lines 11 (in 1d, 1 pod)" == judged().violations[0].observed


def test_matches_count_when_another_log_is_unreadable(api, world, judged):
    api.answer(LOGS, scripts.respond_with(500, b"boom", content_type="text/plain"))
    world.log("web-2", *["ERROR"] * 11, namespace="shop")

    outcome = judged()

    (violation,) = outcome.violations
    assert "matching lines 11 (in 1d, 2 pods)" == violation.observed
    assert "the number is a minimum: 1 of 2 logs could not be read: web-1/app: boom" == violation.evidence[-1]
    assert ProblemKind.UNREADABLE == outcome.problem.kind


def test_a_log_longer_than_was_read_is_unknown(world, judged):
    world.log("web-1", *["INFO nothing to see here"] * 2000, namespace="shop")

    problem = unknown(judged, max_bytes="10KB")

    assert "only 9.98KB of the log of web-1/app were read" == problem.text
    assert "raise `max_bytes` (now 10KB) or shorten `window` (now 1d)" == problem.advice


def test_of_a_long_log_both_ends_are_read(world, judged):
    oldest = [LogLine(NOW - timedelta(hours=2, seconds=-n), "ERROR old") for n in range(6)]
    middle = [LogLine(NOW - timedelta(hours=1, seconds=-n), "INFO") for n in range(3000)]
    newest = [LogLine(NOW - timedelta(seconds=60 - n), "ERROR new") for n in range(6)]
    world.log("web-1", *oldest, *middle, *newest, namespace="shop")

    outcome = judged(max_bytes="20KB")

    (violation,) = outcome.violations
    assert "matching lines 12 (in 1d, 2 pods)" == violation.observed
    assert "the number is a minimum: only 20KB of the log of web-1/app were read" == violation.evidence[-1]
    assert ("logs read in part", 1) == (outcome.measurements[-1].name, outcome.measurements[-1].value)


def test_a_log_that_both_ends_cover_is_whole_and_nothing_counts_twice(world, judged):
    world.log("web-1", *[LogLine(NOW - timedelta(seconds=300 - n), "ERROR") for n in range(300)], namespace="shop")

    outcome = judged(max_bytes="15KB")

    assert "matching lines 300 (in 1d, 2 pods)" == outcome.violations[0].observed
    assert outcome.problem is None


def test_commands_show_the_lines(judged, world):
    world.log("web-1", *["ERROR"] * 11, namespace="shop")
    (violation,) = judged(ignore_case=True, pattern=r"\berror\b").violations

    expectation = expect(
        LogLines,
        KubernetesTarget(kind="kubernetes", namespace="shop"),
        pattern=r"\berror\b",
        window="24h",
        lines={"P3": 1},
    )
    known = expectation_facts(expectation)
    rendered = [render(command, known | violation.facts) for command in violation.remediation.commands]

    assert r"kubectl -n shop logs web-1 -c app --since=24h | grep -iE -- '\berror\b' | tail" in rendered
