"""JMESPath in policies: one field that selects a value of a JSON document, checked when the policy is loaded."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Annotated, Any

import jmespath
from jmespath.exceptions import JMESPathError, ParseError
from jmespath.functions import Functions
from jmespath.lexer import Lexer
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

_COMPARATORS = {"eq", "ne", "lt", "lte", "gt", "gte"}


def _json_path(expression: str) -> str:
    try:
        parsed = jmespath.compile(expression).parsed
    except JMESPathError as error:
        raise PydanticCustomError(
            "json_path",
            "a JMESPath expression, such as data.items[0].status ({reason}); a name with a dash is quoted: {example}",
            {"reason": _reason(error), "example": 'data."queue-depth"'},
        ) from error
    for function in _functions(parsed):
        _check_call(function["value"], len(function["children"]))
    if parsed["type"] == "comparator":
        raise PydanticCustomError(
            "json_path_compares",
            "a path to a value; the comparison is a key of its own, such as {path: status, equals: ok}",
        )
    if (name := _quoted_after_comparator(expression)) is not None:
        raise PydanticCustomError(
            "json_path_quotes",
            "'{name}' in single quotes: in JMESPath double quotes name a field, single quotes write a text",
            {"name": name},
        )
    return expression


def _reason(error: JMESPathError) -> str:
    # ParseError prints the expression again with a caret under it, over several lines.
    if isinstance(error, ParseError):
        return f"it cannot be read from column {(error.lex_position or 0) + 1}"
    return "it is empty"


def _functions(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if node["type"] == "function_expression":
        yield node
    for child in node["children"]:
        if isinstance(child, dict):
            yield from _functions(child)


def _check_call(name: str, arguments: int) -> None:
    # jmespath itself finds these out when it searches a document: too late, and it reads like a fault of the API.
    known = Functions.FUNCTION_TABLE
    if name not in known:
        nearest = get_close_matches(name, known, n=1)
        raise PydanticCustomError(
            "json_path_function",
            "a function that JMESPath has; {name}() is none{hint}",
            {"name": name, "hint": f", did you mean {nearest[0]}()?" if nearest else ""},
        )
    signature = known[name]["signature"]
    if arguments != len(signature) and not (signature and signature[-1].get("variadic")):
        raise PydanticCustomError(
            "json_path_arguments",
            "{name}() with {expected} argument(s), not {given}",
            {"name": name, "expected": len(signature), "given": arguments},
        )


def _quoted_after_comparator(expression: str) -> str | None:
    """
    The name after a comparator that is in double quotes, None when there is none.

    `status == "ok"` compares two fields of the document. It is false where people expect true, and no error.
    """
    before = ""
    for token in Lexer().tokenize(expression):
        if before in _COMPARATORS and token["type"] == "quoted_identifier":
            return str(token["value"])
        before = token["type"]
    return None


JsonPath = Annotated[str, AfterValidator(_json_path), Field(json_schema_extra={"format": "jmespath"})]
"""A JMESPath expression that leads to a value and does not compare it."""


def find(document: Any, path: str) -> Any:
    """
    The value at `path` of a decoded JSON document; None when it is not there, or is null.

    Raises ValueError when a function of the path meets a value that it cannot take.
    """
    try:
        return jmespath.search(path, document)
    except (JMESPathError, TypeError) as error:
        # A TypeError comes out of jmespath itself when a filter compares a text with a number.
        raise ValueError(str(error).splitlines()[0]) from error
