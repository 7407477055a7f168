"""What the numbers were measured on and with."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version

_PACKAGES = ("opscheck", "pytest", "httpx", "pytest-testinfra", "kubernetes", "urllib3", "msgspec", "pydantic")


def load() -> float:
    """How many processes want to run; what others do on the machine is in every number."""
    return os.getloadavg()[0]


def described(load: float) -> str:
    """Machine, date and versions, as Markdown. `load` is that of the beginning."""
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with {os.cpu_count()} cores (load {load:.1f} when it began), "
        f"{platform.system()} {platform.release()} {platform.machine()}, Python {platform.python_version()}, "
        f"{packages}.\n"
    )
