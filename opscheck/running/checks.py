"""Checks, matched to expectations by the type of an argument, never by its name."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from opscheck.core.expectation import Expectation
from opscheck.core.registry import Registry


@dataclass(frozen=True)
class Check:
    """One check: a function, its expectation argument, and its claim."""

    argument: str
    kind: type[Expectation]
    claim: str
    reason: str
    file: Path
    line: int


def bound_check(function: Callable[..., Any]) -> Check | None:
    """`function` as a check; None when none of its arguments has the type of a named expectation."""
    for name, parameter in inspect.signature(function).parameters.items():
        kind = _resolved(parameter.annotation, function)
        if isinstance(kind, type) and issubclass(kind, Expectation) and kind.check_name:
            claim, reason = _docstring(function)
            code = inspect.unwrap(function).__code__
            return Check(name, kind, claim, reason, Path(code.co_filename), code.co_firstlineno)
    return None


def check_named(name: str, registry: Registry) -> Check | None:
    """
    The check of this name of one of the systems, without pytest: its module is imported, and no other.

    `system.concern` is in `test_concern.py` of the system's folder; where it is not, each module there is tried.
    """
    system, _, concern = name.partition(".")
    folder = registry.systems[system].checks if system in registry.systems else None
    if folder is None or registry.expectation_type(name) is None:
        return None
    first = folder / f"test_{concern}.py"
    others = (file for file in sorted(folder.glob("test_*.py")) if file != first)
    files = [first, *others] if first.is_file() else others
    found = (check for file in files for check in _checks_in(file, system))
    return next((check for check in found if check.kind.check_name == name), None)


def _checks_in(file: Path, system: str) -> Iterator[Check]:
    spec = spec_from_file_location(f"opscheck_checks_of_{system}.{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python module")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, value in vars(module).items():
        check = bound_check(value) if name.startswith("test") and inspect.isfunction(value) else None
        if check is not None:
            yield check


def _resolved(annotation: Any, function: Callable[..., Any]) -> Any:
    if not isinstance(annotation, str):
        return annotation
    # The module may say `from __future__ import annotations`, and may import other names for type checkers only.
    try:
        return eval(annotation, getattr(inspect.unwrap(function), "__globals__", {}))  # noqa: S307 - its own source
    except (NameError, AttributeError, TypeError, SyntaxError):
        return None


def _docstring(function: Callable[..., Any]) -> tuple[str, str]:
    """The first two paragraphs: the claim of the check, and the consequence of a violation."""
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    claim, reason = (" ".join(text.split()) for text in [*paragraphs, "", ""][:2])
    return claim, reason
