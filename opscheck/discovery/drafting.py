"""From what the systems propose to what a policy is given: without duplicates, with its ids, in a stable order."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic_core import PydanticCustomError

from opscheck.core.discovery import Discovery, Proposal, ProposedTarget
from opscheck.core.registry import Registry
from opscheck.core.target import InlineTarget
from opscheck.discovery.known import Known

Expand = Callable[[Any], Any]
"""Replaces the references in a value of a policy."""


@dataclass(frozen=True)
class Drafted:
    """Targets and expectations that a policy lacks, and those that it has already."""

    targets: tuple[ProposedTarget, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    covered: Mapping[str, str] = field(default_factory=dict)
    """Proposals that the policy has already, by their ids: the id that it has there."""
    declined: tuple[str, ...] = ()
    """The ids of proposals that a comment of the policy declines."""


def drafted(found: Iterable[Discovery], known: Known, registry: Registry, expand: Expand) -> Drafted:
    """Compare what was found with what is known."""
    discoveries = list(enumerate(found))
    drafting = _Drafting(known, registry, expand)
    targets = [(one, source) for source, each in discoveries for one in each.targets]
    for target, source in sorted(targets, key=_order_of_target):
        drafting.add_target(target, source)
    proposals = [(one, source) for source, each in discoveries for one in each.proposals]
    for proposal, source in sorted(proposals, key=_order_of_proposal):
        drafting.add(proposal, source)
    named = {one.target for one in drafting.proposals}
    return Drafted(
        targets=tuple(one for one in drafting.targets if one.id in named),
        proposals=tuple(drafting.proposals),
        covered=drafting.covered,
        declined=tuple(drafting.declined),
    )


def values_of(proposal: Proposal) -> dict[str, Any]:
    """The fields of an expectation, in the order in which a person writes them."""
    values: dict[str, Any] = {"id": proposal.id, "check": proposal.check}
    if proposal.target:
        values["target"] = proposal.target
    values |= {name: value for name, value in proposal.selector.items() if value is not None} | dict(proposal.fields)
    if proposal.severity:
        values["severity"] = str(proposal.severity)
    return values | ({"tags": proposal.tags} if proposal.tags else {})


class _Drafting:
    def __init__(self, known: Known, registry: Registry, expand: Expand) -> None:
        self._registry = registry
        self._expand = expand
        self._ignored = known.ignored
        self._target_names = {name: expand(fields) for name, fields in known.targets.items()}
        self._renamed: dict[tuple[int, str], str] = {}
        """The names of targets by the discovery that has them, and their ids there."""
        self._ids = {str(one.get("id")) for one in known.expectations}
        self._known = list(known.expectations)
        self._new: list[Mapping[str, Any]] = []
        self.targets: list[ProposedTarget] = []
        self.proposals: list[Proposal] = []
        self.covered: dict[str, str] = {}
        self.declined: list[str] = []

    def add_target(self, target: ProposedTarget, source: int) -> None:
        """Take a target, or the name that the policy has for it."""
        wanted = self._expand(target.fields)
        same = (name for name, fields in self._target_names.items() if wanted.items() <= fields.items())
        name = next(same, None)
        if name is None:
            name = next(one for one in _names(target.id, str(target.fields["kind"])) if one not in self._target_names)
            self._target_names[name] = wanted
            self.targets.append(replace(target, id=name))
        if self._renamed.setdefault((source, target.id), name) != name:
            raise ValueError(f"two targets of one discovery have the id {target.id}")

    def add(self, proposal: Proposal, source: int) -> None:
        """Take an expectation, unless the policy has it or declines it."""
        if proposal.target:
            proposal = replace(proposal, target=self._renamed[source, proposal.target])
        if {proposal.check, proposal.id} & self._ignored:
            self.declined.append(proposal.id)
        elif (same := next((one for one in self._known if self._is_same(proposal, one)), None)) is not None:
            self.covered[proposal.id] = str(same.get("id"))
        elif not any(self._is_same(proposal, one) for one in self._new):
            name = next(one for one in _names(proposal.id, proposal.check.replace(".", "-")) if one not in self._ids)
            self._ids.add(name)
            self.proposals.append(replace(proposal, id=name))
            self._new.append(values_of(self.proposals[-1]))

    def _is_same(self, proposal: Proposal, other: Mapping[str, Any]) -> bool:
        if other.get("check") != proposal.check or other.get("target", "") != proposal.target:
            return False
        return all(
            self._compared(proposal.check, key, value) == self._compared(proposal.check, key, other.get(key))
            for key, value in proposal.selector.items()
        )

    def _compared(self, check: str, key: str, value: object) -> object:
        """A field's value as far as it says what is judged: of an endpoint its host and port."""
        expanded = self._expand(value)
        kind = self._registry.expectation_type(check)
        annotation = kind.model_fields[key].annotation if kind and key in kind.model_fields else None
        if not isinstance(annotation, type) or not issubclass(annotation, InlineTarget):
            return expanded
        try:
            return annotation.parse(str(expanded)).address
        except PydanticCustomError:
            return expanded


def _names(name: str, other: str) -> Iterator[str]:
    """Names to try, until one is free."""
    yield name
    yield f"{name}-{other}"
    number = 2
    while True:
        yield f"{name}-{other}-{number}"
        number += 1


def _order_of_target(one: tuple[ProposedTarget, int]) -> tuple[str, str, int]:
    target, source = one
    return str(target.fields["kind"]), target.id, source


def _order_of_proposal(one: tuple[Proposal, int]) -> tuple[str, str, str, int]:
    proposal, source = one
    return proposal.check.partition(".")[0], proposal.target, proposal.id, source
