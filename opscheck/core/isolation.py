"""The parts of a judgement, none of which stops another."""

from collections.abc import Callable

from opscheck.core.observation import CouldNotObserve


def judge_all(*parts: Callable[[], None]) -> None:
    """Judge each part, also when another could not be looked at; raises the first CouldNotObserve at the end."""
    missing: CouldNotObserve | None = None
    for part in parts:
        try:
            part()
        except CouldNotObserve as error:
            missing = missing or error
    if missing is not None:
        raise missing
