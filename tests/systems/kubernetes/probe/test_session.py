"""Lists from a real API server, and what becomes of each way in which one can refuse or misbehave."""

import threading
import time

import msgspec
import pytest

from opscheck.core.observation import ProbeError, Problem, ProblemKind
from opscheck.demo.kubernetes import Response, many_pods, pod, scripts, statuses
from opscheck.systems.http.request import HttpRequest
from opscheck.systems.kubernetes.lists import ObjectList
from opscheck.systems.kubernetes.logs import PodLogs
from opscheck.systems.kubernetes.nodes import ListNodes
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.usage import ListNodeUsage, ListPodUsage
from tests.systems.kubernetes.probe.sessions import SHOP, names

PODS = "/api/v1/namespaces/shop/pods"
NODE_USAGE = ListNodeUsage("cluster")
PATIENCE = 1.0


def refused(session, query=SHOP, timeout_s=5.0) -> Problem:
    with pytest.raises(ProbeError) as caught:
        session.ask(query, timeout_s)
    return caught.value.problem


# Lists


def test_the_pods_of_a_namespace(session):
    assert ["web-1", "web-2"] == names(session.ask(SHOP, 5))


def test_the_pods_of_every_namespace(session):
    assert ["api-1", "web-1", "web-2"] == names(session.ask(ListPods("cluster", None), 5))


def test_nodes_and_metrics(session):
    assert ["node-1"] == names(session.ask(ListNodes("cluster"), 5))
    assert {"cpu": "1", "memory": "4Gi"} == session.ask(NODE_USAGE, 5).items[0].usage
    assert ["web-1"] == names(session.ask(ListPodUsage("cluster", "shop"), 5))


def test_a_namespace_that_does_not_exist_has_no_pods(session):
    assert ObjectList() == session.ask(ListPods("cluster", "nowhere"), 5)


def test_an_answer_survives_a_snapshot(session):
    answer = session.ask(SHOP, 5)

    assert answer == msgspec.convert(msgspec.json.decode(msgspec.json.encode(answer)), ListPods.answer)


def test_many_pods_come_in_pages_of_500(api, world, session):
    world.add(*many_pods(1200, "big", padding=2000))
    api.forget_requests()

    assert 1200 == len(session.ask(ListPods("cluster", "big"), 5).items)
    assert ["500"] * 3 == [request.query["limit"] for request in api.requests]
    assert all("gzip" in request.headers["accept-encoding"] for request in api.requests)


def test_a_long_list_keeps_once_what_repeats_in_its_objects(api, world, session):
    world.add(*many_pods(3000, "big", labels={"app": "load"}))

    *_, before, last = session.ask(ListPods("cluster", "big"), 20).items

    assert ("load-02998", "load-02999") == (before.name, last.name)
    assert before.labels is last.labels
    assert before.spec.containers[0].image is last.spec.containers[0].image


def test_the_list_of_a_namespace_is_asked_once_however_many_ask(api, session):
    api.forget_requests()
    threads = [threading.Thread(target=session.ask, args=(SHOP, 5)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)

    session.ask(PodLogs("cluster", "shop", None, "x", 60), 5)

    assert 1 == len([request for request in api.requests if request.path == PODS])


def test_a_list_that_failed_is_asked_again(api, session):
    api.answer(PODS, scripts.truncated(), times=1)

    assert ProblemKind.UNREADABLE == refused(session).kind
    assert ["web-1", "web-2"] == names(session.ask(SHOP, 5))


def test_a_connection_that_the_server_has_closed_is_replaced(api, session):
    session.ask(SHOP, 5)
    api.answer("/api/v1/nodes", scripts.hang_up(), times=1)

    assert ["node-1"] == names(session.ask(ListNodes("cluster"), 5))


# 410


def test_a_list_that_expired_goes_on_with_the_token_in_the_refusal(api, world, session):
    world.add(*many_pods(1200, "big"))
    api.expire_continue(times=1)
    api.forget_requests()

    listed = names(session.ask(ListPods("cluster", "big"), 5))

    assert [f"load-{number:05d}" for number in range(1200)] == listed
    assert 4 == len(api.requests)


def test_a_list_that_expired_for_good_starts_again_once(api, world, session):
    world.add(*many_pods(700, "big"))
    api.expire_continue(times=1, fresh=False)

    assert 700 == len(session.ask(ListPods("cluster", "big"), 5).items)


def test_a_list_that_expires_every_time_is_unreadable(api, world, session):
    world.add(*many_pods(700, "big"))
    api.expire_continue(times=None, fresh=False)

    problem = refused(session, ListPods("cluster", "big"))

    assert ProblemKind.UNREADABLE == problem.kind
    assert "the list expired repeatedly" in problem.text


def test_a_server_that_continues_for_ever_is_not_followed(api, session):
    page = {"kind": "PodList", "metadata": {"continue": "here"}, "items": []}
    api.answer(PODS, scripts.respond_with(200, page))

    assert "repeats the same page of the list" in refused(session).text


# Refusals


def test_401_says_how_the_client_authenticated(api, session):
    api.revoke()

    problem = refused(session)

    assert ProblemKind.DENIED == problem.kind
    assert f"127.0.0.1:{api.port} rejects the client (401); it authenticated with the token of user opscheck" == (
        problem.text
    )
    assert "it may have expired or been revoked: put a new one into the kubeconfig" == problem.advice
    assert api.token not in problem.text
    assert problem.target_down  # told once, and not by every expectation of this cluster


def test_403_names_verb_resource_namespace_and_the_rule_that_grants_it(api, session):
    api.deny("pods")

    problem = refused(session)

    assert ProblemKind.DENIED == problem.kind
    assert problem.text.startswith("the token of user opscheck may not list pods in namespace shop (403): ")
    assert 'cannot list resource "pods" in API group "" in the namespace "shop"' in problem.text
    assert (
        'grant {apiGroups: [""], resources: ["pods"], verbs: ["list"]} with a Role in namespace shop; '
        "`opscheck permissions` prints the role"
    ) == problem.advice


def test_403_on_what_belongs_to_no_namespace_asks_for_a_cluster_role(api, session):
    api.deny("nodes")

    assert 'resources: ["nodes"], verbs: ["list"]} with a ClusterRole;' in refused(session, ListNodes("cluster")).advice


def test_a_cluster_without_metrics_server_is_told_as_that(world, session):
    world.withdraw("metrics.k8s.io")

    problem = refused(session, NODE_USAGE)

    assert (ProblemKind.ABSENT, "install metrics-server, or set `when_absent: skip`") == (problem.kind, problem.advice)
    assert "the cluster does not serve metrics.k8s.io (404)" == problem.text


def test_a_metrics_server_that_is_down_is_told_as_that(api, session):
    api.answer("/apis/metrics.k8s.io", statuses.unavailable())

    problem = refused(session, NODE_USAGE)

    assert ProblemKind.UNSUPPORTED == problem.kind
    assert "the cluster's metrics.k8s.io does not answer (503): service unavailable" == problem.text
    assert "kubectl get apiservice v1beta1.metrics.k8s.io" in problem.advice


def test_429_is_waited_for(api, session):
    api.answer(PODS, statuses.too_many_requests(retry_after=1), times=1)

    assert ["web-1", "web-2"] == names(session.ask(SHOP, 10))


@pytest.mark.parametrize("status", [500, 503, 504])
def test_5xx_with_a_time_to_wait_is_waited_for(api, session, status):
    api.answer(PODS, statuses.status(status, "Unavailable", "shutting down", headers={"Retry-After": "1"}), times=1)

    assert ["web-1", "web-2"] == names(session.ask(SHOP, 10))


def test_a_wait_that_is_longer_than_the_time_there_is_is_told(api, session):
    api.answer(PODS, statuses.too_many_requests(retry_after=30))

    problem = refused(session, timeout_s=5)

    assert ProblemKind.LATE == problem.kind
    assert (
        "the API server requests a wait of 30 s before GET /api/v1/namespaces/shop/pods (429); the timeout is 5 s"
        == problem.text
    )
    assert "raise the target's timeout, or lower its concurrency" == problem.advice


HOSTILE = {
    "an error of etcd": (
        statuses.status(500, "InternalError", "etcdserver: request timed out"),
        "with 500: etcdserver: request timed out",
    ),
    "overloaded": (statuses.unavailable_status(), "with 503: the server is currently unable to handle the request"),
    "a redirect": (
        Response(302, headers={"Location": "https://login.example.com/?next=x"}),
        "redirects GET /api/v1/namespaces/shop/pods to https://login.example.com/",
    ),
    "an odd status": (Response(418, b"\xff\xfe teapot"), "with 418"),
    "a sign-in page": (scripts.html(), "starts with '<!DOCTYPE html>'"),
    "a proxy's error page": (scripts.html(502), "with 502: an HTML page, as from a proxy"),
    "half a body": (scripts.truncated(), "broke off"),
    "no body": (scripts.respond_with(200, b""), "is not a list of objects"),
    "half a document": (scripts.respond_with(200, b'{"kind": "PodList", "items": [{"meta'), "is not a list of objects"),
    "other JSON": (scripts.respond_with(200, {"message": "ok"}), "is not a list of objects"),
    "no list": (scripts.respond_with(200, {"kind": "Pod", "items": []}), "is a 'Pod', not a list"),
    "items that are none": (scripts.respond_with(200, {"kind": "PodList", "items": {}}), "$.items"),
    "a wrong type": (
        scripts.respond_with(200, {"kind": "PodList", "items": [{"status": {"phase": 3}}]}),
        "$.items[0].status.phase",
    ),
    "a wrong time": (
        scripts.respond_with(200, {"kind": "PodList", "items": [{"metadata": {"creationTimestamp": "soon"}}]}),
        "$.items[0].metadata.creationTimestamp",
    ),
    "no UTF-8": (scripts.respond_with(200, b"\xff\xfe{}"), "is not a list of objects"),
    "no gzip": (scripts.respond_with(200, b"not gzip", headers={"Content-Encoding": "gzip"}), "broke off"),
}


@pytest.mark.parametrize(("answer", "text"), HOSTILE.values(), ids=HOSTILE)
def test_an_answer_that_is_none_is_a_problem_a_person_can_act_on(api, session, answer, text):
    api.answer(PODS, answer)

    problem = refused(session)

    assert ProblemKind.UNREADABLE == problem.kind
    assert text in problem.text
    assert not problem.target_down


def test_a_path_that_is_not_served_is_absent(api, session):
    api.answer(PODS, statuses.unknown_path())

    problem = refused(session)

    assert ProblemKind.ABSENT == problem.kind
    assert f"127.0.0.1:{api.port} does not serve /api/v1/namespaces/shop/pods (404)" == problem.text


@pytest.mark.parametrize("query", [SHOP, NODE_USAGE], ids=["pods", "metrics"])
def test_proxy_404_differs_from_an_unserved_resource(api, session, query):
    api.answer("/api", scripts.html(404))

    problem = refused(session, query)

    assert ProblemKind.UNREADABLE == problem.kind
    assert "with 404, but not as an API server does: an HTML page, as from a proxy" in problem.text


def test_one_request_that_a_server_hangs_up_on_does_not_mean_that_it_is_down(api, session):
    api.answer(PODS, scripts.hang_up())

    problem = refused(session)

    assert (ProblemKind.UNREACHABLE, False) == (problem.kind, problem.target_down)
    assert "closed the connection without answering GET /api/v1/namespaces/shop/pods" in problem.text


def test_an_empty_list_may_be_null(api, session):
    api.answer(PODS, scripts.respond_with(200, {"kind": "PodList", "items": None}))

    assert ObjectList() == session.ask(SHOP, 5)


SLOW = {
    "never": (scripts.never(), "no answer in 1 s", True),
    "late": (scripts.late(30), "no answer in 1 s", True),
    "a head that trickles": (scripts.trickle(0.1, head_too=True), "no answer in 1 s", True),
    "a body that trickles": (
        scripts.trickle(0.1),
        "the answer to GET /api/v1/namespaces/shop/pods (200) did not end in 1 s",
        False,
    ),
}


@pytest.mark.parametrize(("script", "text", "down"), SLOW.values(), ids=SLOW)
def test_no_answer_outlasts_its_deadline(api, session, script, text, down):
    api.answer(PODS, script)

    problem = refused(session, timeout_s=PATIENCE)

    assert (ProblemKind.LATE, text, down) == (problem.kind, problem.text, problem.target_down)
    assert PATIENCE == problem.waited_s


def test_a_slow_question_beside_a_quick_one_does_not_call_the_server_dead(api, session):
    api.answer(PODS, scripts.never())
    slow: list[Problem] = []
    thread = threading.Thread(target=lambda: slow.append(refused(session, timeout_s=PATIENCE)))
    thread.start()
    while not [request for request in api.requests if request.path == PODS]:
        time.sleep(0.01)

    session.ask(ListNodes("cluster"), 5)
    thread.join(5)

    assert ["no answer in 1 s"] == [problem.text for problem in slow]
    assert not slow[0].target_down


def test_an_answer_without_end_is_cut(api, session, monkeypatch):
    # A small bound stands for the real one of 64 MiB.
    monkeypatch.setattr("opscheck.systems.kubernetes.probe.client.MOST_BYTES", 1000)
    monkeypatch.setattr(type(session._client).reply, "__kwdefaults__", {"sink": None, "limit": 1000})

    assert "the answer is too large" in refused(session).text


# Manners


def test_one_namespace_costs_few_requests(api, world, opened):
    world.add(*(pod(f"web-{number}", "shop") for number in range(3, 50)))
    session = opened()
    for _ in range(50):
        session.ask(SHOP, 5)

    assert 2 == len(api.requests)


def test_a_question_for_another_system_is_refused(session):
    assert ProblemKind.UNSUPPORTED == refused(session, HttpRequest("cluster")).kind


def test_a_server_is_not_asked_more_at_once_than_the_target_allows(api, opened):
    busy = Busy()
    api.answer("/api/v1/nodes", busy.script)
    session = opened(concurrency=2)
    threads = [threading.Thread(target=session.ask, args=(ListNodes("cluster"), 5)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)

    assert (6, 2) == (busy.served, busy.most)


class Busy:
    """Answers after a moment, and notes how many requests it had at once."""

    def __init__(self):
        self._lock = threading.Lock()
        self._now = self.most = self.served = 0

    def script(self, exchange, honest):
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        exchange.pause(0.05)
        with self._lock:
            self._now -= 1
            self.served += 1
        exchange.send(honest())
