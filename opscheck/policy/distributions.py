"""The distributions that a policy `uses`: their systems, and which version of each is installed."""

from importlib.metadata import Distribution, PackageNotFoundError, distribution, entry_points

from opscheck import __version__
from opscheck.core.record import UsedDistribution
from opscheck.core.registry import BrokenSystemError, Registry, load_system
from opscheck.core.system import GROUP
from opscheck.policy.issues import Issues
from opscheck.policy.nodes import Sequence, text_of

OWN = "opscheck"


def add_used(registry: Registry, issues: Issues) -> tuple[UsedDistribution, ...]:
    """Add the systems of the distributions in the policy's `uses`; what is wrong with one is added to `issues`."""
    section = issues.root.items.get("uses")
    used: dict[str, UsedDistribution] = {}
    for index, node in enumerate(section.items if isinstance(section, Sequence) else ()):
        text = text_of(node)
        if text is None:  # its type is refused with the other sections
            continue
        try:
            found = _installed(text)
            _add_systems(registry, found)
            used[found.name] = UsedDistribution(name=found.name, version=found.version)
        except BrokenSystemError as error:
            issues.at(node, ("uses", index), str(error), node.shown)
    return tuple(used.values())


def owner_of_system(name: str) -> str | None:
    """The installed distribution, other than opscheck, that brings a system of this name."""
    found = (one.dist for one in entry_points(group=GROUP) if one.name == name)
    return next((owner.name for owner in found if owner is not None and owner.name != OWN), None)


def _installed(text: str) -> Distribution:
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415 - few policies use any

    try:
        wanted = Requirement(text)
    except InvalidRequirement:
        raise BrokenSystemError("expected a distribution such as `opscheck-memcached>=0.1`") from None
    try:
        found = distribution(wanted.name)
    except PackageNotFoundError:
        raise BrokenSystemError(f"{wanted.name} is not installed; pip install '{wanted}'") from None
    if not wanted.specifier.contains(found.version, prereleases=True):
        raise BrokenSystemError(f"{found.name} {found.version} is installed; pip install '{wanted}'")
    return found


def _add_systems(registry: Registry, found: Distribution) -> None:
    from packaging.requirements import Requirement  # noqa: PLC0415 - as above
    from packaging.utils import canonicalize_name  # noqa: PLC0415 - as above

    for needed in map(Requirement, found.requires or ()):
        is_ours = canonicalize_name(needed.name) == OWN and (needed.marker is None or needed.marker.evaluate())
        if is_ours and not needed.specifier.contains(__version__, prereleases=True):
            raise BrokenSystemError(
                f"{found.name} {found.version} needs opscheck{needed.specifier}, and this is opscheck {__version__}"
            )
    own = found.entry_points.select(group=GROUP)
    if not own:
        raise BrokenSystemError(f"{found.name} brings no system: it has no entry point in the group {GROUP}")
    for entry_point in own:
        registry.add_system(load_system(entry_point, found.name), found.name)
