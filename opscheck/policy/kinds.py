"""The bundled kinds of expectation."""

from collections.abc import Iterable
from importlib import import_module

_BUNDLED = ("backup", "host", "http", "kubernetes", "pgbouncer", "postgres", "recovery", "redis", "tls")


def import_bundled() -> None:
    """Make all expectations that ship with opscheck known in `Expectation.kinds`."""
    _import(_BUNDLED)


def import_used(checks: Iterable[str]) -> None:
    """Make those known that judge one of `checks`; the models of a system cost a hundredth of a second each."""
    systems = {name.partition(".")[0] for name in checks}
    _import(system for system in _BUNDLED if system in systems)


for _system in ("host", "http", "kubernetes", "pgbouncer", "postgres", "prometheus", "redis", "stores"):
    import_module(f"opscheck.systems.{_system}.target")


def _import(systems: Iterable[str]) -> None:
    for system in systems:
        import_module(f"opscheck.systems.{system}.expectations")
