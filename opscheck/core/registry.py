"""The registry of one run: systems, kinds of target, and expectations."""

import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.metadata import EntryPoint, distribution
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from opscheck.core.exit_codes import UserError
from opscheck.core.expectation import Expectation
from opscheck.core.query import Query
from opscheck.core.system import GROUP, Client, Kind, Probe, System
from opscheck.core.target import Target, named_classes

if TYPE_CHECKING:
    from opscheck.core.discovery import Discoverer

Reader = Callable[[Any, Query[Any], float], Any]
"""Answers a query in a session of its target's probe, within so many seconds. Raises ProbeError."""


class BrokenSystemError(UserError):
    """A system that cannot be used as installed: its import fails, or its name is taken."""


def load_system(entry_point: EntryPoint, owner: str) -> System:
    """The descriptor behind an entry point of the distribution `owner`. Raises BrokenSystemError."""
    try:
        system = entry_point.load()
    except Exception as error:  # noqa: BLE001 - a module of another distribution may raise anything
        text = f"{owner}: its system {entry_point.name} cannot be imported: {type(error).__name__}: {error}"
        raise BrokenSystemError(text) from None
    if not isinstance(system, System) or system.name != entry_point.name:
        found = f"one named {system.name}" if isinstance(system, System) else type(system).__name__
        raise BrokenSystemError(
            f"{owner}: its entry point {entry_point.name} must name a System of that name, got {found}"
        )
    return system


class Registry:
    """
    The systems of one run, and the expectations that its folders with checks define.

    Each run has its own: two runs in one process never see each other's expectations. Classes are imported when
    they are first needed, so that a policy costs what its own systems cost.
    """

    def __init__(self, systems: Iterable[System] = ()) -> None:
        self.systems: dict[str, System] = {}
        self._owners: dict[str, str] = {}
        self._added: dict[str, type[Expectation]] = {}
        self._added_kinds: dict[str, type[Target]] = {}
        for system in systems:
            self.add_system(system)

    @classmethod
    def bundled(cls) -> "Registry":
        """The systems that opscheck's own distribution brings, by the same entry points as others."""
        own = distribution("opscheck").entry_points.select(group=GROUP)
        return cls(load_system(entry_point, "opscheck") for entry_point in own)

    def add_system(self, system: System, owner: str = "opscheck") -> None:
        """
        Add a system of the distribution `owner`.

        Raises BrokenSystemError when its name, or a kind of target or query of it, is taken.
        """
        for known in self.systems.values():
            taken = {system.name} & {known.name} or set(system.kinds) & set(known.kinds)
            taken = taken or set(system.readers) & set(known.readers)
            if taken:
                other = f"the system {known.name} of {self._owners[known.name]}"
                raise BrokenSystemError(f"{owner}: {min(taken)} is brought by {other} already")
        if foreign := [check for check in system.expectations if check.partition(".")[0] != system.name]:
            raise BrokenSystemError(
                f"{owner}: the check {foreign[0]} of the system {system.name} must be named {system.name}.…"
            )
        self.systems[system.name] = system
        self._owners[system.name] = owner

    # -- targets -------------------------------------------------------------------------------------------------

    @property
    def target_kinds(self) -> list[str]:
        """The kinds that a policy may write, sorted."""
        declared = (item for system in self.systems.values() for item in system.kinds.items())
        return sorted({*(kind for kind, one in declared if not one.inline), *self._added_kinds})

    def target_type(self, kind: str) -> type[Target] | None:
        """The class of targets of this kind; None where it is unknown, or only expectations create such targets."""
        declared = self.kind(kind)
        if declared is None or declared.inline:
            return self._added_kinds.get(kind)
        return cast("type[Target]", self._load(declared.target))

    def target_types(self) -> dict[str, type[Target]]:
        """Every class of targets by its kind."""
        return {kind: found for kind in self.target_kinds if (found := self.target_type(kind)) is not None}

    def kind_of_scheme(self, scheme: str) -> str:
        """The kind of target whose addresses start with this scheme; empty where there is none."""
        return next((kind for kind, found in self.target_types().items() if scheme in found.url_schemes), "")

    def kinds_of(self, classes: tuple[type[Target], ...]) -> list[str]:
        """The kinds whose targets are of one of `classes`, sorted."""
        return [kind for kind, found in self.target_types().items() if issubclass(found, classes)]

    def kind(self, kind: str) -> Kind | None:
        """The declaration of a kind of target; None when no system declares it."""
        return next((system.kinds[kind] for system in self.systems.values() if kind in system.kinds), None)

    def is_inline(self, kind: str) -> bool:
        """True for targets that only expectations create."""
        declared = self.kind(kind)
        return kind not in self._added_kinds and (declared is None or declared.inline)

    def client_of_kind(self, kind: str) -> Client | None:
        """The client library that the probe of a kind of target imports."""
        declared = self.kind(kind)
        return declared.client if declared else None

    def client_of_check(self, check: str) -> Client | None:
        """The packages that the queries of a check need in addition to the client libraries of their targets."""
        system = self.systems.get(check.partition(".")[0])
        return system.clients.get(check) if system else None

    def probe(self, kind: str) -> Probe:
        """The probe for a kind of target. Raises LookupError when there is none."""
        declared = self.kind(kind)
        if declared is not None:
            return cast("Probe", self._load(declared.probe))
        if (added := self._added_kinds.get(kind)) is not None:
            return cast("Probe", sys.modules[added.__module__])
        raise LookupError(f"no probe for targets of kind {kind}")

    def permissions(self, kind: str) -> ModuleType | None:
        """The module that prints what a kind of target must grant; None where there is nothing to grant."""
        declared = self.kind(kind)
        return cast("ModuleType", self._load(declared.permissions)) if declared and declared.permissions else None

    def after_answers(self, kind: str) -> Callable[..., Iterable[str]] | None:
        """The function that a kind of target has called once one of its targets has answered."""
        declared = self.kind(kind)
        return self._load(declared.after_answers) if declared and declared.after_answers else None

    def reader(self, query: Query[Any]) -> Reader | None:
        """The function that answers a query on a target of another system; None where the probe answers it."""
        at = next((one.readers[query.name] for one in self.systems.values() if query.name in one.readers), None)
        return None if at is None else cast("Reader", self._load(at))

    def discoverers(self) -> dict[str, "Discoverer"]:
        """The functions that propose a first policy, by the name of their system, sorted."""
        found = {name: one.discover for name, one in sorted(self.systems.items()) if one.discover}
        return {name: cast("Discoverer", self._load(at)) for name, at in found.items()}

    # -- expectations --------------------------------------------------------------------------------------------

    @property
    def checks(self) -> list[str]:
        """The name of every check, sorted."""
        return sorted({*(check for one in self.systems.values() for check in one.expectations), *self._added})

    def expectation_type(self, check: str) -> type[Expectation] | None:
        """The class of the expectations that a check judges; None for an unknown check."""
        if check in self._added:
            return self._added[check]
        system = self.systems.get(check.partition(".")[0])
        at = system.expectations.get(check) if system else None
        return None if at is None else cast("type[Expectation]", self._load(at))

    def expectation_types(self) -> dict[str, type[Expectation]]:
        """Every class of expectations by the name of its check."""
        return {check: found for check in self.checks if (found := self.expectation_type(check)) is not None}

    def add(self, found: type[Expectation]) -> None:
        """
        Add an expectation that a folder with checks defines, and the kinds of target that its fields name.

        Raises BrokenSystemError when another one has its name, or a kind of target has no probe.
        """
        known = self.expectation_type(found.check_name)
        if known is not None and (known.__module__, known.__qualname__) != (found.__module__, found.__qualname__):
            raise BrokenSystemError(
                f"two expectations are called {found.check_name}: {known.__qualname__} of {known.__module__} and "
                f"{found.__qualname__} of {found.__module__}"
            )
        if known is not found:
            self._added[found.check_name] = found
        for target in named_classes(found):
            self._add_kind(target)

    def checks_folders(self, checks: Iterable[str]) -> list[Path]:
        """The folders with the check functions of the systems that judge `checks`."""
        systems = {name.partition(".")[0] for name in checks}
        return [one.checks for name, one in self.systems.items() if name in systems and one.checks is not None]

    def _add_kind(self, target: type[Target]) -> None:
        kind = target.own_kind
        if not kind or self.kind(kind) is not None:
            return
        if not hasattr(sys.modules[target.__module__], "open_session"):
            raise BrokenSystemError(
                f"{target.__qualname__}: targets of kind {kind} have no probe; define open_session(target, timeout_s) "
                f"in {target.__module__}"
            )
        self._added_kinds[kind] = target

    def _load(self, at: str) -> Any:
        """The object at `module:name`, or the module. Raises BrokenSystemError, which names its distribution."""
        module, _, name = at.partition(":")
        try:
            found = import_module(module)
            return getattr(found, name) if name else found
        except Exception as error:
            declares = (f"{one.name} of {self._owners[one.name]}" for one in self.systems.values() if _names(one, at))
            owner = next(declares, "opscheck")
            text = f"the system {owner}: {at} cannot be imported: {type(error).__name__}: {error}"
            raise BrokenSystemError(text) from error


def _names(system: System, at: str) -> bool:
    kinds = (
        text
        for kind in system.kinds.values()
        for text in (kind.target, kind.probe, kind.permissions, kind.after_answers)
    )
    return at in {*kinds, *system.expectations.values(), *system.readers.values(), system.discover}
