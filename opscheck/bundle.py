"""Where the bundled checks and policies are."""

from pathlib import Path
from typing import Literal

_PACKAGE = Path(__file__).resolve().parent


def bundled(name: Literal["checks", "policies"]) -> Path:
    """
    The folder with the checks, or with the policies, that ship with opscheck.

    In a wheel it lies inside the package. In a checkout it lies beside the package, and a copy inside
    (an editable install leaves one behind that nothing updates) is not used. Raises FileNotFoundError.
    """
    return _find(name, _PACKAGE)


def _find(name: str, package: Path) -> Path:
    inside, beside = package / name, package.parent / name
    # Beside an installed package lie strangers' packages, which may be called `checks` too.
    in_checkout = (package.parent / "pyproject.toml").is_file()
    places = [beside, inside] if in_checkout else [inside]
    for place in places:
        if place.is_dir():
            return place
    looked = " or ".join(str(place) for place in places)
    raise FileNotFoundError(f"the bundled {name} are missing: expected at {looked}; reinstall opscheck")
