"""Field docstrings of a model, read from its source when a schema or a page needs them."""

import ast
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from inspect import cleandoc
from itertools import pairwise
from pathlib import Path
from typing import Any


def field_docs(model: type[Any]) -> dict[str, str]:
    """
    The docstring below each field of a class and of those that it inherits.

    Pydantic's `use_attribute_docstrings` reads them whenever a class is made, which is a third of what importing a
    system costs; a run needs none of them.
    """
    docs: dict[str, str] = {}
    for base in reversed(model.__mro__):
        file = getattr(sys.modules.get(base.__module__), "__file__", None)
        if file is not None and base.__module__.partition(".")[0] not in {"builtins", "pydantic", "typing"}:
            docs |= _docs_in(file).get(base.__qualname__, {})
    return docs


@lru_cache(maxsize=256)
def _docs_in(file: str) -> dict[str, dict[str, str]]:
    """Of every class in a module, by its qualified name: the texts of its fields."""
    tree = ast.parse(Path(file).read_bytes())
    return {name: dict(_texts(body)) for name, body in _classes(tree.body, "")}


def _classes(body: Iterable[ast.stmt], prefix: str) -> Iterator[tuple[str, list[ast.stmt]]]:
    for child in body:
        if isinstance(child, ast.ClassDef):
            yield f"{prefix}{child.name}", child.body
            yield from _classes(child.body, f"{prefix}{child.name}.")
        elif isinstance(child, ast.FunctionDef):
            yield from _classes(child.body, f"{prefix}{child.name}.<locals>.")


def _texts(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for field, text in pairwise(body):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr)):
            continue
        if isinstance(text.value, ast.Constant) and isinstance(text.value.value, str):
            yield field.target.id, cleandoc(text.value.value)
