"""The client's identity: the API server's answer, next to the kubeconfig."""

import json

import msgspec

from opscheck.core.query import Identity
from opscheck.systems.kubernetes.probe.client import Client, Deadline, Request
from opscheck.systems.kubernetes.probe.errors import decoded

_CREATED, _FORBIDDEN, _NOT_FOUND = 201, 403, 404
_REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
_REVIEW_REQUEST = Request("/apis/authentication.k8s.io/v1/selfsubjectreviews", review=json.dumps(_REVIEW).encode())


class _User(msgspec.Struct, frozen=True):
    username: str = ""
    groups: tuple[str, ...] | None = None


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    user_info: _User = _User()


class _Review(msgspec.Struct, frozen=True):
    status: _Status = _Status()


_decode = msgspec.json.Decoder(_Review).decode


def read_identity(client: Client, deadline: Deadline) -> Identity:
    """
    The cluster and the user. Raises ProbeError.

    A server before 1.28 does not serve the review, and others may deny it. Then the answer has only the address and the
    kind of authentication.
    """
    access = client.access
    reply = client.reply(_REVIEW_REQUEST, deadline)
    if reply.status not in {_CREATED, _FORBIDDEN, _NOT_FOUND}:
        raise client.refusal(_REVIEW_REQUEST, reply)
    review = decoded(_decode, reply.body) if reply.status == _CREATED else None
    user = review.status.user_info if review else _User()
    return Identity(
        place=access.server + (f" (context {access.context})" if access.context else ""),
        user=user.username,
        groups=user.groups or (),
        authenticated_by=access.identity,
    )
