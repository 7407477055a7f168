"""Secrets in a policy file itself."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel, SecretStr

from opscheck.core.redaction import Secrets, credentials
from opscheck.policy.nodes import Mapping, Scalar, walk

_SECRET_HEADER = re.compile(r"auth|cookie|credential|key|pass|pwd|secret|session|signature|token", re.IGNORECASE)
_SHORTEST_WORD = 8  # "Bearer" is none


def register_secrets(model: BaseModel, node: Mapping, secrets: Secrets) -> None:
    """
    Add the credentials in the secret fields of `model` to the secrets. `node` is what it was made of.

    A URL or connection string hides the credential inside it. A header that is named like a credential is one as
    a whole; where its value came from a variable, the variable is known already.
    """
    for path, value in _secret_values(model):
        for credential in credentials(value):
            secrets.add(credential)
        written, _ = walk(node, path)
        stands_in_the_file = isinstance(written, Scalar) and written.written == value
        if len(path) > 1 and stands_in_the_file and _SECRET_HEADER.search(path[-1]):
            for word in (value, *re.split(r"[\s;,=]+", value)):
                if len(word) >= _SHORTEST_WORD:
                    secrets.add(word)


@cache
def secret_fields(model: type[BaseModel]) -> dict[str, str]:
    """The secret fields of `model`, by their key in a policy."""
    return {field.alias or name: name for name, field in model.model_fields.items() if _is_secret(field.annotation)}


def _is_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(map(_is_secret, get_args(annotation)))


def _secret_values(model: BaseModel) -> Iterator[tuple[tuple[str, ...], str]]:
    for key, name in secret_fields(type(model)).items():
        value = getattr(model, name)
        if isinstance(value, SecretStr):
            yield (key,), value.get_secret_value()
        elif isinstance(value, dict):
            yield from (((key, inner), item.get_secret_value()) for inner, item in value.items())
