"""What can be expected of a recovery: that it was done, and how long it took."""

from opscheck.systems.recovery.expectations import drill, drilled

# To import this package makes all of them known under the names of their checks.
__all__ = ["drill", "drilled"]
