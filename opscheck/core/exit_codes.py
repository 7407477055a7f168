"""The exit codes of every command, and the error that a user can fix."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of every command; 0 to 4 have pytest's meaning."""

    OPEN = 0
    """The gate is open."""
    CLOSED = 1
    """A violation at or above the gate."""
    INTERRUPTED = 2
    """The run was interrupted."""
    INTERNAL_ERROR = 3
    """opscheck itself failed."""
    USAGE = 4
    """A bad policy or wrong usage; no target was touched."""
    UNKNOWN = 20
    """Nothing at the gate is violated, but something at the gate could not be observed."""
    UNTRUSTED = 21
    """Nothing was checked, all was skipped, or not everything that was selected has a verdict."""


class UserError(Exception):
    """An error that the user can fix; its text says where, what, and how. Ends with exit 4."""
