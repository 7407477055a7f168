"""cert-manager's objects as it leaves them, and TLS secrets."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

from opscheck.demo.kubernetes.objects import Object, condition, metadata, timestamp

_GROUP = "cert-manager.io"
_LIFETIME = timedelta(days=90)
_AGE = timedelta(days=20)
_UP_TO_DATE = "Certificate is up to date and has not expired"


def certificate(  # noqa: PLR0913 -- a certificate has many faces; all but the name have a default
    name: str,
    namespace: str = "default",
    *,
    labels: dict[str, str] | None = None,
    created: datetime | None = None,
    issued: datetime | None = None,
    lifetime: timedelta = _LIFETIME,
    renewal: datetime | None = None,
    renewed: bool = True,
    conditions: tuple[Object, ...] | None = None,
    issuer: str = "letsencrypt",
    issuer_kind: str = "ClusterIssuer",
    **status: Any,
) -> Object:
    """
    A certificate that was `issued` (default: twenty days ago), and is renewed after two thirds of its lifetime.

    renewal: another time of renewal; renewed=False plans none. conditions: Ready by default. status: more fields of
    its status, such as lastFailureTime; None removes a field.
    """
    start = issued or datetime.now(UTC) - _AGE
    due = {"renewalTime": timestamp(renewal or start + lifetime * 2 / 3)} if renewed else {}
    told = {
        "conditions": list(conditions) if conditions is not None else [ready(start)],
        "notBefore": timestamp(start),
        "notAfter": timestamp(start + lifetime),
        "revision": 1,
    }
    whole = {key: value for key, value in (told | due | status).items() if value is not None}
    return {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "Certificate",
        "metadata": metadata(name, namespace, created=created or start, labels=labels) | {"generation": 1},
        "spec": {
            "secretName": f"{name}-tls",
            "dnsNames": [f"{name}.example.com"],
            "issuerRef": {"group": _GROUP, "kind": issuer_kind, "name": issuer},
        },
        "status": whole,
    }


def unissued(name: str, namespace: str = "default", *, created: datetime, **fields: Any) -> Object:
    """A certificate that was requested, and is not issued yet."""
    nothing = {"notBefore": None, "notAfter": None, "renewalTime": None, "revision": None}
    missing = "Issuing certificate as Secret does not exist"
    conditions = (
        ready(created, False, "DoesNotExist", missing),
        condition("Issuing", True, created, "DoesNotExist", missing) | {"observedGeneration": 1},
    )
    return certificate(name, namespace, created=created, **{"conditions": conditions} | nothing | fields)


def ready(
    since: datetime, holds: bool | str = True, reason: str = "Ready", message: str = _UP_TO_DATE, generation: int = 1
) -> Object:
    """The Ready condition."""
    return condition("Ready", holds, since, reason, message) | {"observedGeneration": generation}


def issuing(since: datetime, reason: str = "Renewing", message: str = "Renewing certificate") -> Object:
    """The condition of one that is being issued."""
    return condition("Issuing", True, since, reason, message) | {"observedGeneration": 1}


def certificate_request(  # noqa: PLR0913 -- all but the name have a default
    name: str,
    namespace: str = "default",
    *,
    of: str,
    revision: int = 1,
    conditions: tuple[Object, ...] = (),
    created: datetime | None = None,
) -> Object:
    """One issuance of the certificate `of`."""
    annotations = {f"{_GROUP}/certificate-name": of, f"{_GROUP}/certificate-revision": str(revision)}
    made = metadata(
        name, namespace, created=created, annotations=annotations, owner=f"Certificate/{of}", version=f"{_GROUP}/v1"
    )
    spec = {"request": base64.b64encode(b"a request").decode(), "issuerRef": {"name": "letsencrypt"}}
    return {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "CertificateRequest",
        "metadata": made,
        "spec": spec,
        "status": {"conditions": list(conditions)},
    }


def order(name: str, namespace: str = "default", *, of: str, state: str = "pending", reason: str = "") -> Object:
    """The ACME order for the certificate request `of`."""
    owner = f"CertificateRequest/{of}"
    return {
        "apiVersion": f"acme.{_GROUP}/v1",
        "kind": "Order",
        "metadata": metadata(name, namespace, owner=owner, version=f"{_GROUP}/v1"),
        "spec": {"request": base64.b64encode(b"a request").decode(), "issuerRef": {"name": "letsencrypt"}},
        "status": {"state": state} | ({"reason": reason} if reason else {}),
    }


def challenge(  # noqa: PLR0913 -- all but the name have a default
    name: str,
    namespace: str = "default",
    *,
    of: str,
    host: str,
    reason: str,
    state: str = "pending",
    kind: str = "HTTP-01",
) -> Object:
    """The ACME challenge of the order `of`."""
    where = "https://acme.example.com"
    spec: Object = {"dnsName": host, "type": kind, "token": "planted-token", "key": "planted-key", "url": f"{where}/1"}
    spec |= {"authorizationURL": f"{where}/2", "wildcard": False}
    owner = f"Order/{of}"
    return {
        "apiVersion": f"acme.{_GROUP}/v1",
        "kind": "Challenge",
        "metadata": metadata(name, namespace, owner=owner, version=f"acme.{_GROUP}/v1"),
        "spec": spec | {"issuerRef": {"name": "letsencrypt"}, "solver": {"http01": {"ingress": {}}}},
        "status": {"state": state, "reason": reason, "processing": True, "presented": True},
    }


def issuer(name: str = "letsencrypt", namespace: str = "", *conditions: Object) -> Object:
    """An issuer of the namespace, or a cluster issuer without one. Ready by default."""
    registered = "The ACME account was registered with the ACME server"
    told = conditions or (condition("Ready", True, datetime.now(UTC) - _AGE, "ACMEAccountRegistered", registered),)
    return {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "Issuer" if namespace else "ClusterIssuer",
        "metadata": metadata(name, namespace) | {"generation": 1},
        "spec": {"selfSigned": {}},
        "status": {"conditions": list(told)},
    }


def tls_secret(  # noqa: PLR0913 -- all but the name and the content have a default
    name: str,
    namespace: str = "default",
    *,
    pem: bytes,
    key: bytes = b"",
    of: str = "",
    labels: dict[str, str] | None = None,
) -> Object:
    """A secret with a certificate in PEM, of the cert-manager Certificate `of` where one is named."""
    annotations = {f"{_GROUP}/certificate-name": of} if of else None
    data = {"tls.crt": base64.b64encode(pem).decode(), "tls.key": base64.b64encode(key).decode()}
    made = metadata(name, namespace, labels=labels, annotations=annotations)
    return {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": made, "data": data}
