"""Validating one entry of a policy as the model of its kind."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from opscheck.policy.explanation import Explainer, known_fields
from opscheck.policy.issues import Issues
from opscheck.policy.nodes import Mapping as MappingNode
from opscheck.policy.nodes import Path, Scalar, plain

M = TypeVar("M", bound=BaseModel)


def validated(  # noqa: PLR0913 - what an entry is read with, by name
    model: type[M],
    node: MappingNode,
    path: Path,
    issues: Issues,
    *,
    defaults: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
    told_already: Callable[[ErrorDetails], bool] = lambda _: False,
) -> M | None:
    """
    `node`, which stands at `path`, as a `model`; None when it is none, and then `issues` say why.

    `defaults` fill in keys that are not there. An error that `told_already` accepts is left out.
    """
    empty = _refuse_empty(model, node, path, issues)
    values = {key: plain(item) for key, item in node.items.items() if key not in empty}
    try:
        made = model.model_validate({**(defaults or {}), **values}, context=dict(context or {}))
    except ValidationError as error:
        explainer = Explainer(issues.root, path, model)
        issues.add(
            explainer.issues(error, lambda one: told_already(one) or one["loc"][:1] in {(key,) for key in empty})
        )
        return None
    except Exception as error:  # noqa: BLE001 - a team's own validator may raise anything; it is their policy's error
        fault = f"{type(error).__name__}: {error}"
        issues.at(node, path, f"the validators of {model.__name__} ({model.__module__}) failed: {fault}")
        return None
    return None if empty else made


def _refuse_empty(model: type[BaseModel], node: MappingNode, path: Path, issues: Issues) -> set[str]:
    """The keys without a value: a limit whose steps are commented out must not vanish unnoticed."""
    empty = {key for key, item in node.items.items() if isinstance(item, Scalar) and item.value is None}
    if not empty:
        return empty
    fields = known_fields(model)
    empty = {key for key in empty if key in fields and fields[key].annotation is not Any}
    for key in sorted(empty):
        hint = "leave the key out where there is nothing to say"
        issues.at(node.items[key], (*path, key), "expected a value", "nothing", hint)
    return empty
