"""The text of a policy with what it is given: a new one, or one that exists and keeps all of its bytes."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from opscheck.discovery.drafting import Drafted, values_of
from opscheck.discovery.insertion import inserted
from opscheck.discovery.yaml_text import Lines, item_lines, target_lines

_NEW = """\
# Written by `opscheck init` on {today}. Change it as you like: init never overwrites it.
# `opscheck init --diff FILE` shows what it lacks, `opscheck init --add FILE` adds that.
# A comment line "opscheck init: ignore NAME" declines a check or an id for good.
version: 1
environment: {environment} # the name of the environment, such as production; every report has it
"""


def new_policy(environment: str, today: date) -> str:
    """The head of a new policy, which lacks targets and expectations."""
    return _NEW.format(today=today, environment=environment)


def with_drafted(text: str, draft: Drafted, today: date, shown: str) -> str:
    """`text` with targets and expectations, each below a comment. Raises CannotInsertError."""
    targets = [target_lines(one.id, one.fields, one.seen) for one in draft.targets]
    expectations = [item_lines(values_of(one), f"{today}: {one.reason}") for one in draft.proposals]
    return inserted(text, {"targets": targets, "expectations": expectations}, shown)


def with_waivers(text: str, waivers: Iterable[Mapping[str, Any]], shown: str) -> str:
    """`text` with waivers. Raises CannotInsertError."""
    entries: list[Lines] = [item_lines(waiver) for waiver in waivers]
    return inserted(text, {"waivers": entries}, shown)
