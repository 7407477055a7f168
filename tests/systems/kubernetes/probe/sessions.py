"""Asking a cluster with a kubeconfig of one's own."""

import ssl

import pytest

from opscheck import KubernetesTarget
from opscheck.core.observation import ProbeError, Problem
from opscheck.demo.kubernetes import Tls
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.probe import open_session

SHOP = ListPods("cluster", "shop")
BOTH = ["web-1", "web-2"]


def names(answer) -> list[str]:
    return [item.name for item in answer.items]


def tls(authority, *names, client_authority=None) -> Tls:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(names or ("127.0.0.1",))).configure_cert(context)
    if client_authority is not None:
        client_authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return Tls(context, authority.cert_pem.bytes())


def asked(path, **fields):
    """The pods that a session sees with this kubeconfig."""
    target = KubernetesTarget(kind="kubernetes", namespace="shop", kubeconfig=path and str(path), **fields)
    session = open_session(target, 5)
    try:
        return names(session.ask(SHOP, 5))
    finally:
        session.close()


def refused(path, **fields) -> Problem:
    with pytest.raises(ProbeError) as caught:
        asked(path, **fields)
    return caught.value.problem
