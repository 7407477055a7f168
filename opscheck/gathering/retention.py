"""Retention of samples: the newest, and fewer of the older ones."""

from collections.abc import Iterable
from datetime import datetime, timedelta

OLDEST = timedelta(days=40)
"""Older samples are deleted; growth over a month still finds its sample."""
RATIO = 3
"""
For any age there is a sample of that age or up to three times older, if a run was made then.

Growth over a day, a week or a month finds one between half and twice that age. Over 40 days of a run per minute this
leaves twenty samples at most.
"""
SHORTEST = timedelta(minutes=1)
"""Samples closer together than this count as one."""


def thinned(taken: Iterable[datetime], now: datetime) -> set[datetime]:
    """
    The samples to keep, of those taken at these times.

    It can be done again at any later time: two neighbours come closer together, seen from then, and never apart.
    What is ahead of `now` stays as it is; the clock went backwards, and may be set right again.
    """
    times = sorted(set(taken), reverse=True)
    past = [time for time in times if time <= now and now - time <= OLDEST]
    kept = {time for time in times if time > now}
    place = 0
    while place < len(past):
        kept.add(past[place])
        place = _next(past, place, now)
    return kept


def _next(past: list[datetime], place: int, now: datetime) -> int:
    """The oldest sample within reach of this one, or else its neighbour."""
    reach = max(now - past[place], SHORTEST) * (RATIO - 1)
    following = place + 1
    while following + 1 < len(past) and past[place] - past[following + 1] <= reach:
        following += 1
    return following
