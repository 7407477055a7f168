"""The probe asks a real API server: every kind that checks read, in pages, and refused in the server's own words."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import msgspec
import pytest

from opscheck import KubernetesTarget
from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.query import Query
from opscheck.systems.kubernetes.api_server import ReadIdentity
from opscheck.systems.kubernetes.events import ListWarnings
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.probe import KubernetesSession, lists, open_session
from tests.cluster.crds import CERT_MANAGER
from tests.cluster.manifests import made, measurable, namespace, one_of_each, one_of_each_custom, pod
from tests.registries import BUNDLED

SPACE = "reading"

BUNDLED.expectation_types()  # imports every query
KINDS = sorted(
    (name for name, query in Query.known.items() if issubclass(query, ListObjects) and "kubernetes." in name),
)


@pytest.fixture(name="read", scope="module")
def _read(cluster, serve):
    """The API of a cluster with one object of every kind."""
    serve(CERT_MANAGER)
    definitions = measurable()
    cluster.api.apply(*definitions)
    for definition in definitions:
        cluster.api.wait_for(definition, "Established")
    cluster.api.apply(*one_of_each(SPACE), *one_of_each_custom(SPACE))
    return cluster.api


@pytest.fixture(name="opened")
def _opened(cluster) -> Iterator[Callable[..., KubernetesSession]]:
    """Open a session as the administrator, or with a token."""
    with ExitStack() as stack:

        def opened(token: str | None = None) -> KubernetesSession:
            kubeconfig = str(cluster.kubeconfig(token=token))
            session = open_session(KubernetesTarget(kind="kubernetes", namespace=SPACE, kubeconfig=kubeconfig), 20)
            stack.callback(session.close)
            return session

        yield opened


@pytest.fixture(name="session")
def _session(opened) -> KubernetesSession:
    return opened()


def question(name: str, where: str | None = SPACE) -> ListObjects:
    kind = Query.known[name]
    return kind("cluster", where if kind.namespaced else None)


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_listed_and_decoded(read, session, name):
    query = question(name)

    found = session.ask(query, 20)

    assert found.items, f"add one to tests.cluster.manifests.one_of_each: {query.text()}"
    assert all(item.name and item.created for item in found.items)


@pytest.mark.parametrize("name", [name for name in KINDS if Query.known[name].namespaced])
def test_every_kind_is_listed_across_all_namespaces(read, session, name):
    spaces = {item.namespace for item in session.ask(question(name, None), 20).items}

    assert SPACE in spaces


def test_empty_and_missing_namespace_have_the_same_answer(read, session):
    assert () == session.ask(ListPods("cluster", "no-such-namespace"), 20).items


def test_only_metadata_of_secrets_is_transferred(read, session, cluster):
    secrets = session.ask(question("kubernetes.secret_names"), 20).items

    assert ["api-tls", "tls"] == [secret.name for secret in secrets]
    assert b"planted" not in msgspec.json.encode(secrets)


def test_server_selects_warnings_only(read, session):
    (event,) = session.ask(ListWarnings("cluster", SPACE), 20).items

    assert ("web-1", "Unhealthy") == (event.involved_object.name, event.reason)


@pytest.fixture(name="many", scope="module")
def _many(cluster) -> str:
    """A namespace with more pods than fit on two pages."""
    cluster.api.apply(namespace("many"), *(pod(f"load-{number:03}", "many") for number in range(25)))
    return "many"


def test_list_of_several_pages_is_whole_and_in_order(many, session, cluster, monkeypatch):
    monkeypatch.setattr(lists, "PAGE", 10)
    before = len(listed(cluster, many))

    found = session.ask(ListPods("cluster", many), 20)

    assert [f"load-{number:03}" for number in range(25)] == [item.name for item in found.items]
    assert 3 == len(listed(cluster, many)) - before


def test_list_that_expires_continues_with_the_servers_token(many, session, cluster, monkeypatch):
    monkeypatch.setattr(lists, "PAGE", 10)
    expire_after_first_page(cluster, monkeypatch)

    found = session.ask(ListPods("cluster", many), 20)

    assert 25 == len(found.items)
    assert 410 in [entry["responseStatus"]["code"] for entry in listed(cluster, many)]


def listed(cluster, where):
    """The lists of pods there that opscheck asked for, as the server's audit log has them."""
    entries = cluster.requests_of("opscheck")
    return [entry for entry in entries if f"/namespaces/{where}/pods" in entry["requestURI"]]


def expire_after_first_page(cluster, monkeypatch):
    """Give out the second page only after the storage has forgotten the state of the first."""
    honest = lists._page
    seen = []

    def page(query, token):
        if token and not seen:
            seen.append(token)
            cluster.outdate()
        return honest(query, token)

    monkeypatch.setattr(lists, "_page", page)


def test_identity_comes_from_the_server(session, cluster):
    identity = session.ask(ReadIdentity("cluster"), 20)

    assert "opscheck-tests" == identity.user
    assert "system:masters" in identity.groups
    assert cluster.url in identity.place


def test_unknown_token_makes_the_target_unreadable(opened):
    with pytest.raises(ProbeError) as caught:
        opened(token="nobody-gave-this-out").ask(ListPods("cluster", SPACE), 20)

    assert (ProblemKind.DENIED, True) == (caught.value.problem.kind, caught.value.problem.target_down)
    assert "rejects the client (401)" in caught.value.problem.text


@pytest.mark.parametrize("name", KINDS)
def test_denied_request_names_the_missing_rule(cluster, opened, name):
    cluster.api.apply(namespace(SPACE), made("ServiceAccount", "nothing", SPACE))
    query = question(name)

    with pytest.raises(ProbeError) as caught:
        opened(token=cluster.api.token("nothing", SPACE)).ask(query, 20)

    problem = caught.value.problem
    assert ProblemKind.DENIED == problem.kind
    assert f'User "system:serviceaccount:{SPACE}:nothing" cannot list resource "{query.plural}"' in problem.text
    assert f'resources: ["{query.plural}"], verbs: ["list"]' in problem.advice
