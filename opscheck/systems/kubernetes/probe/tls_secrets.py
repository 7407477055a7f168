"""The public part of TLS secrets: of `data` only `tls.crt` is decoded, and of that only certificates are kept."""

import base64
import binascii
from typing import final

import msgspec

from opscheck.systems.kubernetes.certificates import ListTlsSecrets, Secret
from opscheck.systems.kubernetes.objects import KubernetesObject, Part
from opscheck.systems.kubernetes.probe.client import Client, Deadline
from opscheck.systems.kubernetes.probe.lists import list_items
from opscheck.systems.tls.probe.parsing import certificates_in_pem


@final
class PublicData(Part, frozen=True):
    """The part of a secret's data that is decoded. Never add a field for the key."""

    certificate: str | None = msgspec.field(default=None, name="tls.crt")


@final
class PublicSecret(KubernetesObject, frozen=True):
    """The public part of a secret."""

    data: PublicData | None = None


def list_tls_secrets(client: Client, query: ListTlsSecrets, deadline: Deadline) -> tuple[Secret, ...]:
    """The certificates in TLS secrets. Raises ProbeError."""
    return tuple(_public(one) for one in list_items(client, query, deadline, item=PublicSecret))


def _public(secret: PublicSecret) -> Secret:
    text = (secret.data and secret.data.certificate) or ""
    if not text:
        return Secret(metadata=secret.metadata, unreadable="tls.crt is empty")
    try:
        # Any other content, such as a key, is dropped here.
        return Secret(metadata=secret.metadata, certificates=certificates_in_pem(base64.b64decode(text)))
    except (binascii.Error, ValueError):
        # Not the error's own text, which may quote the content.
        return Secret(metadata=secret.metadata, unreadable="tls.crt is not a complete certificate in PEM")
