"""
The pytest plugin: its options, and its activation by a policy.

pytest imports this module in every run of every project that shares the environment. So it imports nothing but
pytest, and does nothing unless a policy is given; then `opscheck.running.hooks` takes over.
"""

from pathlib import Path
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of `opscheck run` to pytest."""
    group = parser.getgroup("opscheck", "opscheck: operational expectations as checks")

    def option(name: str, text: str, **form: Any) -> None:
        dest = f"opscheck_{name.removeprefix('run-').replace('-', '_')}"
        group.addoption(f"--{name}", dest=dest, help=text, **form)

    given = "Policy file; write it as --policy=FILE. Repeatable: each extends those before it."
    option("policy", given, action="append", metavar="FILE")
    option(
        "fail-on",
        "The severity from which a violation fails the run (default: P3, any).",
        default="P3",
        metavar="P0..P3|never",
    )
    option("tag", "Only expectations with this tag.", action="append", default=[], metavar="TAG")
    option("only", "Only expectations whose id matches.", action="append", default=[], metavar="GLOB")
    option("run-json", "Write the run record.", metavar="FILE")
    option("save", "Write every observation to a snapshot file.", metavar="FILE")
    option("from", "Judge a snapshot file; contacts no target.", metavar="FILE")
    counters = "State file: remembers counters so that rates and growth can be computed between runs."
    option("state", counters, metavar="FILE")
    most = "Time limit for gathering (default: 2m, plus the time for drills and whole backups)."
    option("run-timeout", most, metavar="DURATION")
    at_once = "Maximum number of concurrent queries (default: 64)."
    option("run-concurrency", at_once, type=int, default=64, metavar="N")
    option("drill", "Run the restore drills of the policy; they are skipped otherwise.", action="store_true")
    option("run-verbose", "Show passed expectations, every finding and all evidence.", action="store_true")
    option("run-quiet", "Print the summary and the result only.", action="store_true")
    parser.addini("opscheck_policy", "Policy file, relative to this file", type="string", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Turn opscheck on when a policy is given."""
    policy = _policy(config)
    if not policy:
        return
    # Imported here: pydantic and the policy reader must not slow down other pytest runs.
    from opscheck.running.hooks import activate  # noqa: PLC0415

    activate(config, policy)


def _policy(config: pytest.Config) -> list[Path]:
    given: list[str] = config.getoption("opscheck_policy") or []
    if "" in given:
        raise pytest.UsageError("--policy: expected a file, got an empty text; is a shell variable unset?")
    configured = str(config.getini("opscheck_policy"))
    return list(map(Path, given)) or ([config.rootpath / configured] if configured else [])
