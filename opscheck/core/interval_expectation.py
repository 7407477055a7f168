"""What expectations of counters have in common: the interval that they are judged over."""

from typing import Literal

from opscheck.core.expectation import Expectation
from opscheck.core.units import Duration, Timeout


class OverInterval(Expectation):
    """
    Judged by what has been counted between two runs; inherit it, also beside another base.

    Its query is one that is remembered, and `opscheck.core.intervals.interval` finds the earlier sample.
    """

    interval: Timeout = Duration(60)
    """
    Over how long counters are compared at least: with the newest sample that is so old or older.

    Samples are kept from run to run in the file that `--state` names.
    """
    first_sample: Literal["unknown", "lifetime"] = "unknown"
    """
    What is said while there is no earlier sample to compare with: `unknown`, or a judgement over the counters' whole
    `lifetime`, which hides what is wrong now behind what was well for months.
    """
