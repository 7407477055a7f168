"""The folders of the bundled checks and policies."""

from pathlib import Path
from typing import Literal

_PACKAGE = Path(__file__).resolve().parent


def bundled(name: Literal["checks", "policies"]) -> Path:
    """
    The folder with the bundled checks or policies.

    In a wheel it is inside the package. In a checkout it is next to the package, and a copy inside
    (an editable install leaves an outdated one) is not used. Raises FileNotFoundError.
    """
    return _find(name, _PACKAGE)


def _find(name: str, package: Path) -> Path:
    inside, beside = package / name, package.parent / name
    # site-packages may contain another package named `checks`.
    in_checkout = (package.parent / "pyproject.toml").is_file()
    places = [beside, inside] if in_checkout else [inside]
    for place in places:
        if place.is_dir():
            return place
    looked = " or ".join(str(place) for place in places)
    raise FileNotFoundError(f"the bundled {name} are missing: expected at {looked}; reinstall opscheck")
