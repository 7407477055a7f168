"""Collection: checks, the policy entries that each of them judges, and selection."""

import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from opscheck.bundle import bundled
from opscheck.core.exit_codes import UserError
from opscheck.core.expectation import Expectation
from opscheck.core.registry import BrokenSystemError
from opscheck.policy.draft import Draft
from opscheck.policy.models import Policy
from opscheck.running.checks import Check, bound_check
from opscheck.running.fixtures import EXPECTATION
from opscheck.running.settings import Settings

_REPEATED = "__pytest_repeat_step_number"
"""The parameter that pytest-repeat adds to an item."""


class Collector:
    """Turns checks and policy entries into items: exactly one per expectation."""

    def __init__(self, draft: Draft, settings: Settings, today: date) -> None:
        self._draft = draft
        self._settings = settings
        self._today = today
        self._registry = draft.registry
        used = self._registry.checks_folders(draft.check_names())
        self._unused = {one.checks for one in self._registry.systems.values()} - set(used)
        self._conflicts: list[str] = []
        self.checks: dict[str, Check] = {}
        self._bound_check = lru_cache(bound_check)  # one function may have a thousand items, and each looks it up twice

    def ignores(self, path: Path) -> bool:
        """True for the checks of a system that this policy does not use."""
        return path in self._unused

    def check_of(self, function: Any) -> Check | None:
        """`function` as a check; None when it is not one."""
        check = self._bound_check(function)
        if check is None:
            return None
        known = self.checks.get(check.kind.check_name)
        if known is None:
            self.checks[check.kind.check_name] = known = check
            try:
                self._registry.add(check.kind)
            except BrokenSystemError as error:
                self._conflicts.append(f"{check.file}:{check.line}: {error}")
        if (known.file, known.line) != (check.file, check.line):
            self._conflicts.append(
                f"two checks judge {check.kind.check_name}: {known.file}:{known.line} and {check.file}:{check.line}; "
                "collect only one of them"
            )
        return check

    def finish(self, items: list[pytest.Item], *, judged_in_full: bool, modules_failed: bool) -> Policy:
        """
        The whole policy. Raises UsageError with all its errors.

        `judged_in_full` requires a check for each expectation: a missing one would go unnoticed.
        Where `modules_failed`, a check may be unknown because its module cannot be imported; `uncollected` has it.
        """
        try:
            policy = self._draft.finish(today=self._today, without_unknown=modules_failed)
        except UserError as error:
            raise pytest.UsageError(str(error)) from None
        wrong = [
            *dict.fromkeys(self._conflicts),
            *self._settings.idle_selectors(policy.expectations),
            *_judged_more_than_once(items),
        ]
        if judged_in_full and not wrong:
            wrong = self._unjudged(policy, set(_by_id(items)))
        if wrong:
            raise pytest.UsageError("\n".join(wrong))
        return policy

    def arrange(self, items: list[pytest.Item], policy: Policy, config: pytest.Config) -> None:
        """Sort the items in policy order, mark them with their tags, and deselect the others."""
        found = _by_id(items)
        ours = [found[expectation.id] for expectation in policy.expectations if expectation.id in found]
        for item in ours:
            for tag in item.stash[EXPECTATION].tags:
                item.add_marker(tag)
        chosen = [item for item in ours if self._settings.selects(item.stash[EXPECTATION])]
        left_out = [item for item in ours if not self._settings.selects(item.stash[EXPECTATION])]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
        items[:] = chosen + [item for item in items if EXPECTATION not in item.stash]

    def uncollected(self, items: list[pytest.Item], policy: Policy) -> list[str]:
        """The ids of selected expectations without an item, such as those whose check could not be imported."""
        found = _by_id(items)
        missing = [one.id for one in policy.expectations if one.id not in found and self._settings.selects(one)]
        return missing + [name for name in self._draft.ids_of_unknown_checks() if self._settings.names(name)]

    def _unjudged(self, policy: Policy, found: set[str]) -> list[str]:
        selected = [one for one in policy.expectations if self._settings.selects(one)]
        missing = ", ".join(f"{one.id} ({one.check})" for one in selected if one.id not in found)
        text = f"{self._settings.policy}: no collected check judges {missing}"
        return [f"{text}; name the folder with their checks too, or choose with --only or --tag"] if missing else []


def expectation_of(item: pytest.Item, check: Check) -> Expectation | None:
    """The expectation that `item` was parametrised with."""
    callspec = getattr(item, "callspec", None)
    value = callspec.params.get(check.argument) if callspec else None
    return value if isinstance(value, Expectation) else None


def collection_arguments(config: pytest.Config, draft: Draft) -> list[str]:
    """
    The paths that pytest collects: the arguments, or else the checks of the systems that the policy uses.

    The folder of the bundled checks means those of every used system, also of other distributions.
    """
    given = list(config.args) if config.args_source is pytest.Config.ArgsSource.ARGS else []
    suite = bundled("checks")
    own = [argument for argument in given if Path(argument).resolve() != suite]
    if own == given and given:
        return given
    return own + [str(folder) for folder in draft.registry.checks_folders(draft.check_names())] or [str(suite)]


def chosen_by_node(config: pytest.Config) -> bool:
    """True when the command line selects single items or the last failures."""
    return any("::" in argument for argument in config.args) or bool(config.getoption("lf", default=False))


def _by_id(items: list[pytest.Item]) -> dict[str, pytest.Item]:
    return {item.stash[EXPECTATION].id: item for item in items if EXPECTATION in item.stash}


def _judged_more_than_once(items: list[pytest.Item]) -> list[str]:
    """Errors of checks with several items for one expectation: only one verdict could be reported."""
    by_id: dict[str, list[str]] = {}
    ours = [item for item in items if EXPECTATION in item.stash]
    for item in ours:
        by_id.setdefault(item.stash[EXPECTATION].id, []).append(item.nodeid)
    if any(_REPEATED in getattr(getattr(item, "callspec", None), "params", ()) for item in ours):
        text = "pytest-repeat: each expectation is judged once, on the answers of one run"
        return [f"{text}; leave out --count and @pytest.mark.repeat, and repeat the whole command instead"]
    return [
        f"{name} is judged by {len(nodes)} items, and one is expected: {', '.join(nodes)}; "
        "let the check have no parameters of its own, and collect it once"
        for name, nodes in by_id.items()
        if len(nodes) > 1
    ]


class CollectionPaths:
    """
    Makes pytest collect only on the way to `places`, the named folders.

    Between the root and a named folder pytest lists every folder on the way and makes a node of each thing in it:
    of thousands of neighbours in a site-packages or a /tmp.
    """

    def __init__(self, places: Iterable[Path]) -> None:
        # As pytest reads its arguments: absolute, with links as they are.
        self._places = [Path(os.path.abspath(place)) for place in places]  # noqa: PTH100 - resolve() follows links

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Collects a parent of a named folder; pytest collects named folders itself."""
        ahead = [place.relative_to(path).parts for place in self._places if place.is_relative_to(path)]
        inside = any(path.is_relative_to(place) for place in self._places)
        if inside or not ahead:
            return None
        return _WayThrough.from_parent(parent, path=path, steps=sorted({parts[0] for parts in ahead}))


class _WayThrough(pytest.Directory):
    """A parent of a named folder, and the next steps."""

    def __init__(self, steps: Sequence[str], **options: Any) -> None:
        super().__init__(**options)
        self._steps = steps

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        for step in self._steps:
            path = self.path / step
            if path.is_dir():
                yield self.ihook.pytest_collect_directory(path=path, parent=self)
            else:
                yield from self.ihook.pytest_collect_file(file_path=path, parent=self)
