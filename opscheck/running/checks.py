"""Which check judges which kind of expectation: by the type of an argument, never by its name."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opscheck.core.expectation import Expectation


@dataclass(frozen=True)
class Check:
    """One check: a function, the argument that takes the expectation, and what it claims."""

    argument: str
    kind: type[Expectation]
    claim: str
    reason: str
    file: Path
    line: int


def bound_check(function: Callable[..., Any]) -> Check | None:
    """The check that `function` is, None when no argument of it is annotated with a named kind of expectation."""
    for name, parameter in inspect.signature(function).parameters.items():
        kind = _resolved(parameter.annotation, function)
        if isinstance(kind, type) and issubclass(kind, Expectation) and kind.check_name:
            claim, reason = _docstring(function)
            code = inspect.unwrap(function).__code__
            return Check(name, kind, claim, reason, Path(code.co_filename), code.co_firstlineno)
    return None


def _resolved(annotation: Any, function: Callable[..., Any]) -> Any:
    if not isinstance(annotation, str):
        return annotation
    # The module may say `from __future__ import annotations`, and may import other names for type checkers only.
    try:
        return eval(annotation, getattr(inspect.unwrap(function), "__globals__", {}))  # noqa: S307 - its own source
    except (NameError, AttributeError, TypeError, SyntaxError):
        return None


def _docstring(function: Callable[..., Any]) -> tuple[str, str]:
    """The first paragraph and the second: what the check claims, and what breaks when it is false."""
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    claim, reason = (" ".join(text.split()) for text in [*paragraphs, "", ""][:2])
    return claim, reason
