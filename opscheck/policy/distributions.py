"""The distributions in `uses` of a policy: their systems and installed versions."""

from collections.abc import Iterator
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distribution, entry_points
from typing import TYPE_CHECKING

from opscheck import __version__
from opscheck.core.record import UsedDistribution
from opscheck.core.registry import BrokenSystemError, Registry, load_system
from opscheck.core.system import GROUP
from opscheck.policy.errors import Issues
from opscheck.policy.nodes import items_of, text_of

if TYPE_CHECKING:
    from packaging.requirements import Requirement

OWN = "opscheck"


def add_used(registry: Registry, issues: Issues) -> tuple[UsedDistribution, ...]:
    """Add the systems of the distributions in `uses`; errors are added to `issues`."""
    used: dict[str, UsedDistribution] = {}
    for index, node in enumerate(items_of(issues.root.items.get("uses"))):
        text = text_of(node)
        if text is None:  # its type is refused with the other sections
            continue
        try:
            found = add_distribution(registry, text)
            used[found.name] = found
        except BrokenSystemError as error:
            issues.at(node, ("uses", index), str(error), node.shown)
    return tuple(used.values())


def add_distribution(registry: Registry, requirement: str) -> UsedDistribution:
    """Add the systems of the installed distribution that meets `requirement`. Raises BrokenSystemError."""
    found = _installed(requirement)
    if found.name.lower() != OWN:  # its systems are known; a policy may still require a version of it
        _add_systems(registry, found)
    return UsedDistribution(name=found.name, version=found.version)


def owner_of_system(name: str) -> str | None:
    """The installed distribution, other than opscheck, that brings a system of this name."""
    return next((owner for entry_point, owner in _strangers() if entry_point.name == name), None)


def owner_of_kind(kind: str) -> str | None:
    """
    The installed distribution, other than opscheck, that brings targets of this kind.

    It imports the descriptors of unused distributions, so it is only for hints in errors.
    """
    for entry_point, owner in _strangers():
        try:
            system = load_system(entry_point, owner)
        except BrokenSystemError:  # reported when a policy uses it
            continue
        if kind in system.kinds and not system.kinds[kind].inline:
            return owner
    return None


def hint_to_use(owner: str, what: str) -> str:
    """The hint for a policy that needs an installed distribution but does not use it."""
    return f"the installed distribution {owner} brings {what}; add it to the policy: `uses: [{owner}]`"


def _strangers() -> Iterator[tuple[EntryPoint, str]]:
    for entry_point in entry_points(group=GROUP):
        if entry_point.dist is not None and entry_point.dist.name.lower() != OWN:
            yield entry_point, entry_point.dist.name


def _requirement(text: str) -> "Requirement | None":
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415 - few policies use any

    try:
        return Requirement(text)
    except InvalidRequirement:
        return None


def _installed(text: str) -> Distribution:
    wanted = _requirement(text)
    if wanted is None:
        raise BrokenSystemError("expected a distribution such as `opscheck-memcached>=0.1`")
    try:
        found = distribution(wanted.name)
    except PackageNotFoundError:
        raise BrokenSystemError(f"{wanted.name} is not installed; pip install '{wanted}'") from None
    if not wanted.specifier.contains(found.version, prereleases=True):
        raise BrokenSystemError(f"{found.name} {found.version} is installed; pip install '{wanted}'")
    return found


def _add_systems(registry: Registry, found: Distribution) -> None:
    for needed in _needs(found):
        if not needed.specifier.contains(__version__, prereleases=True):
            raise BrokenSystemError(
                f"{found.name} {found.version} needs opscheck{needed.specifier}, and this is opscheck {__version__}"
            )
    own = found.entry_points.select(group=GROUP)
    if not own:
        raise BrokenSystemError(f"{found.name} has no system: its metadata has no entry point in the group {GROUP}")
    for entry_point in own:
        registry.add_system(load_system(entry_point, found.name), found.name)


def _needs(found: Distribution) -> Iterator["Requirement"]:
    """The version of opscheck that a distribution requires."""
    for needed in map(_requirement, found.requires or ()):
        # pip has rejected an invalid one, or never read it.
        if needed and needed.name.lower() == OWN and (needed.marker is None or needed.marker.evaluate()):
            yield needed
