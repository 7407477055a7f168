"""Secrets that stand in a policy file itself."""

import re
from collections.abc import Iterator

from pydantic import BaseModel, SecretStr

from opscheck.policy.nodes import Mapping, Node, text_of
from opscheck.redaction import Secrets, credentials

_SECRET_HEADER = re.compile(r"auth|cookie|credential|key|pass|pwd|secret|session|signature|token", re.IGNORECASE)
_SHORTEST_WORD = 8  # "Bearer" is none


def register_secrets(model: BaseModel, node: Mapping, secrets: Secrets) -> None:
    """
    Make the credentials in the secret fields of `model` known. `node` is what it was made of.

    A URL or connection string hides the credential inside it. A header that is named like a credential is one as
    a whole; where its value came from a variable, the variable is known already.
    """
    for name, path, value in _secret_values(model):
        for credential in credentials(value):
            secrets.add(credential)
        written = _at(node, path)
        if len(path) > 1 and _SECRET_HEADER.search(name) and text_of(written) == getattr(written, "written", None):
            secrets.add(value)
            for word in re.split(r"[\s;,=]+", value):
                if len(word) >= _SHORTEST_WORD:
                    secrets.add(word)


def secret_keys(model: type[BaseModel]) -> set[str]:
    """The keys of `model` whose values are secret."""
    return {field.alias or name for name, field in model.model_fields.items() if "SecretStr" in str(field.annotation)}


def _secret_values(model: BaseModel) -> Iterator[tuple[str, tuple[str, ...], str]]:
    for name in secret_keys(type(model)):
        value = getattr(model, name)
        if isinstance(value, SecretStr):
            yield name, (name,), value.get_secret_value()
        elif isinstance(value, dict):
            for key, item in value.items():
                if isinstance(item, SecretStr):
                    yield key, (name, key), item.get_secret_value()


def _at(node: Node | None, path: tuple[str, ...]) -> Node | None:
    for step in path:
        node = node.items.get(step) if isinstance(node, Mapping) else None
    return node
