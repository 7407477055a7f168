"""Commands about buckets, and what they name."""

from collections.abc import Iterable

from opscheck.systems.stores.target import S3Target, StoreTarget

_OWN = "own_"


def of_bucket(name: str, text: str) -> dict[str, str]:
    """
    The two names of a fact of buckets.

    Each command has two forms, and a finding carries the facts of one: with the endpoint that the policy names, so
    that nobody looks at another store, and without one where the policy goes by what is set around it too.
    """
    return {name: text, _OWN + name: f"{text}, where the policy names an `endpoint_url`"}


def aws(command: str, *, on: str) -> tuple[str, ...]:
    """The two forms of a command, in which {place} stands for the fact `on`."""
    return (
        "aws " + command.replace("{place}", f"{{{{ {on} }}}}"),
        "aws --endpoint-url {{ endpoint_url }} " + command.replace("{place}", f"{{{{ {_OWN}{on} }}}}"),
    )


def named(target: StoreTarget, facts: dict[str, str]) -> dict[str, str]:
    """Facts of a bucket under the names of the form that asks the right store; none for a folder."""
    if not isinstance(target, S3Target):
        return {}
    return {_OWN + name: value for name, value in facts.items()} if target.endpoint_url else facts


def of_other_places(target: StoreTarget, names: Iterable[str]) -> set[str]:
    """Those names of facts that are for another kind of store, or another way to name its endpoint."""
    own = {name for name in names if name.startswith(_OWN)}
    plain = {name.removeprefix(_OWN) for name in own}
    if not isinstance(target, S3Target):
        return own | plain
    return plain if target.endpoint_url else own
