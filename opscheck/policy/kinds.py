"""The bundled kinds of expectation."""

from importlib import import_module

_BUNDLED = ("host", "http", "kubernetes", "postgres", "redis")


def import_bundled() -> None:
    """Make the expectations that ship with opscheck known in `Expectation.kinds`."""
    for system in _BUNDLED:
        import_module(f"opscheck.expectations.{system}")
