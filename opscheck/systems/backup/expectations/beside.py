"""Files that lie beside each backup and say something of it."""

from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

KEY = "{key}"
"""What stands for the key of the backup."""


def _with_key(text: str) -> str:
    if text.count(KEY) != 1 or "{" in text.replace(KEY, "") or text == KEY:
        raise PydanticCustomError("key_beside", "a key with {key} in it once, such as {key}.json", {"key": KEY})
    return text


KeyBeside = Annotated[str, AfterValidator(_with_key)]
"""A key in which {key} is that of the backup."""
