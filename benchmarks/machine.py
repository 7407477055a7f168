"""What the numbers were measured on and with."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version

_PACKAGES = ("opscheck", "pytest", "httpx", "pytest-testinfra", "kubernetes", "urllib3", "msgspec", "pydantic")


def described() -> str:
    """Machine, date and versions, as Markdown."""
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with {os.cpu_count()} cores ({platform.machine()}, "
        f"{platform.system()} {platform.release()}), Python {platform.python_version()},\n{packages}.\n"
    )
