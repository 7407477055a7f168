"""
The pytest plugin's face: its options, and the switch that turns it on.

pytest imports this module in every run of every project that shares the environment. So it imports nothing but
pytest, and does nothing unless a policy is given; then `opscheck.running.hooks` takes over.
"""

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the words of `opscheck run` as options of pytest."""
    group = parser.getgroup("opscheck", "opscheck: operational expectations as checks")
    group.addoption("--policy", dest="opscheck_policy", metavar="FILE", help="Policy file; write it as --policy=FILE.")
    group.addoption(
        "--fail-on",
        dest="opscheck_fail_on",
        default="P3",
        metavar="P0..P3|never",
        help="The severity from which a violation fails the run (default: P3, any).",
    )
    group.addoption(
        "--tag",
        dest="opscheck_tags",
        action="append",
        default=[],
        metavar="TAG",
        help="Only expectations with this tag.",
    )
    group.addoption(
        "--only",
        dest="opscheck_only",
        action="append",
        default=[],
        metavar="GLOB",
        help="Only expectations with such an id.",
    )
    group.addoption("--run-json", dest="opscheck_json", metavar="FILE", help="Write the run record.")
    group.addoption("--save", dest="opscheck_save", metavar="FILE", help="Write every observation to a snapshot.")
    group.addoption("--from", dest="opscheck_from", metavar="FILE", help="Judge a snapshot; no target is touched.")
    group.addoption(
        "--state",
        dest="opscheck_state",
        metavar="FILE",
        help="Keep samples of counters and sizes from run to run, and judge what happened in between.",
    )
    group.addoption(
        "--run-timeout",
        dest="opscheck_timeout",
        metavar="DURATION",
        help="How long gathering may take (default: 2m, and what drills and whole backups need).",
    )
    group.addoption(
        "--run-concurrency",
        dest="opscheck_concurrency",
        type=int,
        default=64,
        metavar="N",
        help="How many queries are asked at the same time (default: 64).",
    )
    group.addoption(
        "--drill",
        dest="opscheck_drill",
        action="store_true",
        help="Do the restore drills of the policy; without it they are skipped.",
    )
    group.addoption(
        "--run-verbose", dest="opscheck_verbose", action="store_true", help="Show the expectations that passed too."
    )
    parser.addini("opscheck_policy", "Policy file, relative to this file", type="string", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Turn opscheck on when a policy is given."""
    policy = _policy(config)
    if policy is None:
        return
    # Here and not above: pydantic and the policy reader cost a stranger's run nothing.
    from opscheck.running.hooks import activate  # noqa: PLC0415

    activate(config, policy)


def _policy(config: pytest.Config) -> Path | None:
    given: str | None = config.getoption("opscheck_policy")
    if given == "":
        raise pytest.UsageError("--policy: expected a file; it is empty, as where a variable is not set")
    if given:
        return Path(given)
    configured = str(config.getini("opscheck_policy"))
    return config.rootpath / configured if configured else None
