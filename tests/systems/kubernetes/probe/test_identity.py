"""Which cluster answers, and whom it takes this client for."""

import pytest

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.query import Identity
from opscheck.demo.kubernetes import statuses
from opscheck.systems.kubernetes.api_server import Context, ReadContext, ReadIdentity

WHO = ReadIdentity("cluster")


def test_the_server_says_who_asks_and_the_kubeconfig_says_where(api, session):
    assert Identity(
        place=f"{api.url} (context demo)",
        user="system:serviceaccount:opscheck:opscheck",
        groups=("system:serviceaccounts", "system:serviceaccounts:opscheck", "system:authenticated"),
        authenticated_by="the token of user opscheck",
    ) == session.ask(WHO, 5)


def test_whom_the_kubeconfig_acts_as_is_who_asks(api, opened, tmp_path):
    path = api.kubeconfig(tmp_path / "acting", impersonate="jane")

    identity = opened(kubeconfig=str(path)).ask(WHO, 5)

    assert ("jane", "the token of user opscheck, acting as jane") == (identity.user, identity.authenticated_by)


@pytest.mark.parametrize(
    "answer",
    [statuses.unknown_path(), statuses.status(403, "Forbidden", "no reviews here")],
    ids=["a server before 1.28", "a server that forbids it"],
)
def test_a_server_that_does_not_say_still_has_an_address(api, session, answer):
    api.answer("/apis/authentication.k8s.io", answer)

    identity = session.ask(WHO, 5)

    assert (f"{api.url} (context demo)", "", ()) == (identity.place, identity.user, identity.groups)


def test_a_client_that_is_not_known_is_nobody(api, session):
    api.revoke()

    with pytest.raises(ProbeError) as caught:
        session.ask(WHO, 5)

    assert (ProblemKind.DENIED, True) == (caught.value.problem.kind, caught.value.problem.target_down)


def test_context_has_the_server_and_the_namespace_of_the_kubeconfig(api, opened, tmp_path):
    path = api.kubeconfig(tmp_path / "named", namespace="billing", context="prod")

    context = opened(kubeconfig=str(path)).ask(ReadContext("cluster"), 5)

    assert context == Context(server=api.url, name="prod", namespace="billing")


def test_context_without_a_namespace_means_default(api, session):
    assert session.ask(ReadContext("cluster"), 5) == Context(server=api.url, name="demo", namespace="default")
