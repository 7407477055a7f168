"""Label and field selectors, as an API server reads them."""

import re
from collections.abc import Callable, Mapping
from typing import Any

Object = dict[str, Any]
Matches = Callable[[Object], bool]

_SET = re.compile(r"^(?P<key>\S+)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)$")
_COMPARED = re.compile(r"^(?P<key>[^\s=!<>]+)\s*(?P<op>==|!=|=|<|>)\s*(?P<value>[-A-Za-z0-9_.]*)$")
_KEY = re.compile(r"^(?P<not>!?)\s*(?P<key>[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?)$")
_FIELD = re.compile(r"^(?P<key>[^=!]+)(?P<op>==|!=|=)(?P<value>[^=!]*)$")

_NAMED = frozenset({"metadata.name", "metadata.namespace"})
_EVENT = frozenset(
    f"involvedObject.{part}"
    for part in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
)
FIELDS: Mapping[str, frozenset[str]] = {
    "Pod": _NAMED
    | {"spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName"}
    | {"spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName"},
    "Event": _NAMED | _EVENT | {"reason", "reportingComponent", "source", "type"},
    "Node": _NAMED | {"spec.unschedulable"},
    "Namespace": _NAMED | {"status.phase"},
    "Secret": _NAMED | {"type"},
    "Service": _NAMED | {"spec.clusterIP", "spec.type"},
    "Job": _NAMED | {"status.successful"},
    "ReplicaSet": _NAMED | {"status.replicas"},
}


class BadSelector(ValueError):  # noqa: N818 -- the server calls it a bad request, not an error
    """The selector cannot be read, or names a field that this kind does not offer."""


def label_selector(text: str) -> Matches:
    """A predicate over objects for `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1`. Raises BadSelector."""
    requirements = [_requirement(part) for part in _split(text)]

    def matches(item: Object) -> bool:
        labels = item.get("metadata", {}).get("labels") or {}
        return all(holds(labels) for holds in requirements)

    return matches


def _split(text: str) -> list[str]:
    """The requirements of a selector: commas separate them, but not those inside parentheses."""
    parts = re.split(r",(?![^(]*\))", text)
    return [part.strip() for part in parts] if text.strip() else []


def _requirement(text: str) -> Callable[[Mapping[str, str]], bool]:
    if found := _SET.match(text):
        key, values = found["key"], frozenset(value.strip() for value in found["values"].split(","))
        if found["op"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values  # an object without the label matches too
    if found := _COMPARED.match(text):
        return _compared(found["key"], found["op"], found["value"])
    if found := _KEY.match(text):
        key, wanted = found["key"], not found["not"]
        return lambda labels: (key in labels) is wanted
    raise BadSelector(f"unable to parse requirement: found '{text}', expected: identifier")


def _compared(key: str, operator: str, value: str) -> Callable[[Mapping[str, str]], bool]:
    if operator in {"=", "=="}:
        return lambda labels: labels.get(key) == value
    if operator == "!=":
        return lambda labels: labels.get(key) != value
    if not value.lstrip("-").isdigit():
        raise BadSelector(f'unable to parse requirement: values[0][{key}]: Invalid value: "{value}"')
    limit, above = int(value), operator == ">"

    def holds(labels: Mapping[str, str]) -> bool:
        number = labels.get(key, "")
        return number.lstrip("-").isdigit() and (int(number) > limit if above else int(number) < limit)

    return holds


def field_selector(text: str, kind: str) -> Matches:
    """A predicate for `status.phase!=Running,spec.nodeName=a`. Only fields in FIELDS; raises BadSelector."""
    requirements = [_field(part, kind) for part in text.split(",") if part.strip()]
    return lambda item: all(holds(item) for holds in requirements)


def _field(text: str, kind: str) -> Matches:
    found = _FIELD.match(text.strip())
    if not found:
        raise BadSelector(f"invalid selector: '{text}'; can't understand '{text}'")
    key, value, wanted = found["key"].strip(), found["value"].strip(), found["op"] != "!="
    if key not in FIELDS.get(kind, _NAMED):
        raise BadSelector(f"field label not supported: {key}")
    return lambda item: (_value(item, key) == value) is wanted


def _value(item: Object, path: str) -> str:
    """A field as the text that selectors compare; empty for a missing field."""
    value: Any = item
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
