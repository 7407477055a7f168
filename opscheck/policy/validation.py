"""Validating parts of a policy as models: each error says where, what was expected, what came, what was meant."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, core_schema

from opscheck.core.target import Target
from opscheck.policy.errors import Issue, Issues
from opscheck.policy.inline_secrets import secret_fields
from opscheck.policy.nodes import Mapping as MappingNode
from opscheck.policy.nodes import Node, Path, Place, Scalar, Sequence, path_text, plain, shown_text, walk
from opscheck.policy.suggestions import did_you_mean, nearest_choice, with_unit

M = TypeVar("M", bound=BaseModel)

_KEY = "[key]"
_QUOTED = re.compile(r"'([^']*)'")
_STANDARD = frozenset(get_args(core_schema.ErrorType))


def _items(bound: str, number: int) -> str:
    return f"{bound} {number} item{'s' if number > 1 else ''}"


def _characters(bound: str, number: int) -> str:
    return "text that is not empty" if (bound, number) == ("at least", 1) else f"text of {bound} {number} characters"


# What the validator's own types ask for, to be read after "expected".
_NOUNS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "string_type": lambda _: "text",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), lambda _: "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), lambda _: "a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), lambda _: "true or false"),
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type"), lambda _: "a list"),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type"), lambda _: "a mapping"),
    **dict.fromkeys(("enum", "literal_error"), lambda context: context["expected"].replace("'", "")),
    "none_required": lambda _: "nothing",
    "finite_number": lambda _: "a finite number",
    "greater_than_equal": lambda context: f"{context['ge']:g} or more",
    "greater_than": lambda context: f"more than {context['gt']:g}",
    "less_than_equal": lambda context: f"{context['le']:g} or less",
    "less_than": lambda context: f"less than {context['lt']:g}",
    "too_short": lambda context: _items("at least", context["min_length"]),
    "too_long": lambda context: _items("at most", context["max_length"]),
    "string_too_short": lambda context: _characters("at least", context["min_length"]),
    "string_too_long": lambda context: _characters("at most", context["max_length"]),
    "string_pattern_mismatch": lambda context: f"text that matches {context['pattern']}",
}
# These say no more than that something of another kind stands there.
_OTHER_KIND = frozenset(kind for kind in _STANDARD if kind.endswith(("_type", "_parsing"))) | {"none_required"}
# Rules of ours about one value; any other is one about a whole entry where a mapping stands.
_OF_A_VALUE = frozenset({"quantity", "count", "number"})


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
    `node`, at `path`, as a `model`; None when invalid, with the errors in `issues`.

    `defaults` fill in missing keys. An error that `told_already` accepts is left out.
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
    nulls = [key for key, item in node.items.items() if isinstance(item, Scalar) and item.value is None]
    fields = known_fields(model) if nulls else {}
    empty = {key for key in nulls if key in fields and fields[key].annotation is not Any}
    for key in sorted(empty):
        hint = "leave the key out where there is nothing to say"
        issues.at(node.items[key], (*path, key), "expected a value", "nothing", hint)
    return empty


@dataclass(frozen=True)
class _Fault:
    """One error of a validator, found in the document."""

    node: Node
    path: Path
    place: Place
    details: ErrorDetails

    @property
    def kind(self) -> str:
        return self.details["type"]

    @property
    def context(self) -> dict[str, Any]:
        return self.details.get("ctx", {})

    @property
    def of_key(self) -> bool:
        """True when it is the key that is wrong, and not its value."""
        return self.details["loc"][-1:] == (_KEY,)


@dataclass(frozen=True)
class Explainer:
    """Explains errors of `model` about the part of a document at `start`."""

    root: MappingNode
    start: Path
    model: type[BaseModel]

    def issues(
        self, error: ValidationError, told_already: Callable[[ErrorDetails], bool] = lambda _: False
    ) -> list[Issue]:
        """An issue for each thing that `error` names, but those that `told_already` accepts."""
        found = (self._fault(details) for details in error.errors(include_url=False) if not told_already(details))
        faults = [fault for fault in found if not _counts_only_valid_items(fault)]
        by_path: dict[tuple[Path, Place], list[_Fault]] = {}
        for fault in faults:
            by_path.setdefault((fault.path, fault.place), []).append(fault)
        paths = {fault.path for fault in faults}
        return [issue for group in by_path.values() for issue in self._explain(group, paths)]

    def _fault(self, details: ErrorDetails) -> _Fault:
        location = (*self.start, *details["loc"])
        kind, named = details["type"], details.get("ctx", {}).get("field")
        node, path = walk(self.root, location[:-1] if kind == "missing" else location)
        place = node.place
        if kind == "extra_forbidden" or location[-1:] == (_KEY,):
            place = node.key_place
        elif isinstance(node, MappingNode) and named in node.items:
            place = node.items[named].place
        return _Fault(node, path, place, details)

    def _explain(self, faults: list[_Fault], paths: set[Path]) -> Iterator[Issue]:
        """The errors at one value; those of a union's several branches become one issue."""
        here = faults[0].path
        fitting = [fault for fault in faults if fault.kind not in _OTHER_KIND]
        if not fitting and any(path[: len(here)] == here and path != here for path in paths):
            return  # another branch fits this kind of value, and says what is wrong inside
        alternatives = [fault for fault in fitting or faults if fault.kind in _NOUNS]
        if alternatives:
            nouns = dict.fromkeys(_NOUNS[fault.kind](fault.context) for fault in alternatives)
            yield self._issue(alternatives[0], f"expected {' or '.join(nouns)}", _hint(alternatives[0]))
        for fault in fitting or faults:
            if fault not in alternatives:
                yield self._issue(fault, *self._sentence(fault))

    def _issue(self, fault: _Fault, rule: str, hint: str | None) -> Issue:
        value = None if self._is_secret(fault) else _value(fault)
        return Issue(
            *fault.place, path_text(self.root, fault.path), rule, value, None if self._is_secret(fault) else hint
        )

    def _sentence(self, fault: _Fault) -> tuple[str, str | None]:
        location, kind = fault.details["loc"], fault.kind
        if kind == "missing":
            return f"the key `{location[-1]}` is missing", None
        if kind == "extra_forbidden":
            known = known_fields(self._model_at(location[:-1]))
            return "unknown key", did_you_mean(str(location[-1]), known, "known are")
        if kind in {"value_error", "assertion_error"}:
            return str(fault.context["error"]) or "this value is refused", None
        message = fault.details["msg"]
        asked = message.removeprefix("Input should be ")
        return (message if kind in _STANDARD and asked == message else f"expected {asked}"), _hint(fault)

    def _is_secret(self, fault: _Fault) -> bool:
        return fault.kind != "extra_forbidden" and bool(
            set(secret_fields(self.model)).intersection(fault.path[len(self.start) : len(self.start) + 1])
        )

    def _model_at(self, location: tuple[str | int, ...]) -> type[BaseModel]:
        model = self.model
        for step in location:
            field = known_fields(model).get(str(step))
            model = next(_models_in(field.annotation), model) if field else model
        return model


def known_fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields that a policy may write where `model` is expected, by key; its own before those that it inherits."""
    inherited = {name for base in model.__mro__[1:] if issubclass(base, BaseModel) for name in base.model_fields}
    # A target's name is the key that it stands under.
    names = [name for name in model.model_fields if not (issubclass(model, Target) and name == "name")]
    fields = {name: model.model_fields[name] for name in sorted(names, key=lambda name: name in inherited)}
    return {field.alias or name: field for name, field in fields.items()}


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _counts_only_valid_items(fault: _Fault) -> bool:
    # A list that is long enough counts as too short when an item is wrong, which is told where that stands.
    return (
        fault.kind == "too_short"
        and isinstance(fault.node, Sequence)
        and len(fault.node.items) >= fault.context["min_length"]
    )


def _value(fault: _Fault) -> str | None:
    node, kind = fault.node, fault.kind
    if kind in {"missing", "extra_forbidden"}:
        return None
    if fault.of_key:
        return shown_text(str(fault.details["loc"][-2]))
    if isinstance(node, MappingNode) and kind not in _STANDARD and kind not in _OF_A_VALUE:
        return None
    if isinstance(node, Scalar) and node.unset:
        return f"{node.shown}, and {', '.join(node.unset)} is not set"
    return node.shown


def _hint(fault: _Fault) -> str | None:
    node, kind = fault.node, fault.kind
    given = fault.details["input"]
    if kind == "unknown_target":
        return did_you_mean(str(given), fault.context["known"], "there are")
    if kind in {"enum", "literal_error"}:
        near = nearest_choice(str(given), _QUOTED.findall(fault.context["expected"]))
        return f"did you mean {near}?" if near else None
    if not isinstance(node, Scalar) or node.value is None:
        return None
    if (meant := fault.context.get("meant")) and node.written == node.value:  # nothing of a variable's value is shown
        return f"did you mean {meant}?"
    if kind == "quantity" and (meant := with_unit(node.written, fault.details["msg"])):
        return f"did you mean {meant}?"
    return f'write it in quotes: "{node.written}"' if kind == "string_type" else None
