"""How many examples property tests try: few before a commit, all with OPSCHECK_THOROUGH=1 as in `.ci/run`."""

import os

from hypothesis import HealthCheck, settings

_QUICK = 25
THOROUGH = bool(os.environ.get("OPSCHECK_THOROUGH"))


def examples(thorough: int) -> int:
    """For `@settings(max_examples=examples(150))`: a test that needs more than the profile has."""
    return thorough if THOROUGH else min(thorough, _QUICK)


def load_profile() -> None:
    """The number of examples of each test that names none."""
    # How long an example takes says how busy the machine is, and nothing of what is tested.
    settings.register_profile("thorough", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("quick", settings.get_profile("thorough"), max_examples=_QUICK)
    settings.load_profile("thorough" if THOROUGH else "quick")
