"""Remedies of kubectl commands."""

from opscheck.core.remedy import Remedy


def kubectl(summary: str, *commands: str) -> Remedy:
    """A remedy of kubectl commands, each in the context that the policy pins and in the namespace of the finding."""
    return Remedy(summary, *(f"kubectl {{{{ context_option }}}} -n {{{{ namespace }}}} {one}" for one in commands))


def missing_remedy(kinds: str) -> Remedy:
    """The remedy where too few objects of these kinds are selected, as `count_matches` brings it."""
    return Remedy(
        "Compare the labels of what is there with the selector; correct it, or create what is missing",
        f"kubectl {{{{ context_option }}}} {{{{ namespace_option }}}} get {kinds} --show-labels"
        "  # what should match {{ missing }}?",
    )
