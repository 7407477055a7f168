"""Types of fields that contain an address: a value that cannot work is refused, with a proposal."""

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationInfo
from pydantic.functional_validators import AfterValidator
from pydantic_core import PydanticCustomError

from opscheck.core.field_types import only
from opscheck.core.target import REFERENCE

SCHEMES_OF_KINDS = "kinds_of_schemes"
"""The key of the validation context with a function: the kind of target whose URLs have a scheme."""

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_COMMON = {"http", "https", "file", "ftp", "tcp", "ws", "wss", "jdbc"}


def url_with(*schemes: str, example: str, also: Callable[[str], bool] = lambda _: False) -> AfterValidator:
    """
    Refuses a text that is not a URL with one of `schemes`, and that `also` does not accept.

    No error contains the value, which may be a secret. Variables that are not set are accepted.
    """

    def check(value: Any, info: ValidationInfo) -> Any:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if REFERENCE.match(text) or also(text):
            return value
        scheme, mark, rest = text.partition("://")
        if not mark:
            fault = f"the scheme is missing; did you mean {schemes[0]}://…?"
        elif scheme.lower() not in schemes:
            fault = _other_scheme(scheme.lower(), schemes, info)
        elif not rest.strip("/") and scheme != "local":
            fault = "it names no host"
        elif "${" not in text and not _readable(text):
            fault = "it cannot be read; percent-encode special characters in user and password"
        else:
            return value
        raise PydanticCustomError("address", "{what}", {"what": f"an address such as {example}: {fault}"})

    return AfterValidator(check)


def _other_scheme(scheme: str, schemes: tuple[str, ...], info: ValidationInfo) -> str:
    kind_of = (info.context or {}).get(SCHEMES_OF_KINDS, lambda _: "")
    kind, plain = kind_of(scheme), scheme.partition("+")[0].rpartition(":")[2]
    if plain in schemes:
        return f"its scheme is {scheme}; did you mean {plain}://…?"
    if kind:
        return f"{scheme}:// is an address of another system; did you mean `kind: {kind}`?"
    # Other text before :// may be a part of a malformed secret.
    named = f"its scheme is {scheme}" if scheme in _COMMON and _SCHEME.fullmatch(scheme) else "its scheme is unknown"
    return f"{named}; did you mean {schemes[0]}://…?"


def _readable(text: str) -> bool:
    with suppress(ValueError):
        parts = urlsplit(text)
        return "," in parts.netloc or parts.port is None or parts.port > 0
    return False


FilePath = only(lambda path: "://" not in path, "file_path", "the path of a file, not a URL")
"""Annotates a path: a URL is refused."""
HostName = only(
    lambda host: not set("/@ ") & set(host) and host.count(":") != 1,
    "host_name",
    "the name of a host alone, such as api.example.com, without scheme, port and path",
)
"""Annotates the name of a host."""
