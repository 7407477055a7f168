"""
Files of the version before systems had folders of their own: policies, snapshots, run records and a state file.

They were written by `opscheck demo --hold`, healthy and broken, with `--save`, `--state` and `--json`.
"""

import gzip
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from opscheck.cli import exit_code
from opscheck.core.expectation import Expectation
from opscheck.core.observation import Observation
from opscheck.core.query import Query
from opscheck.gathering.state_store import Memory
from opscheck.policy.draft import read_policy

HERE = Path(__file__).with_name("legacy")
STATE_ENVIRONMENT = {
    "API_URL": "https://127.0.0.1:44691",
    "API_ENDPOINT": "127.0.0.1:44691",
    "API_TOKEN": "0123456789",
    "DATABASE_URL": "postgresql://opscheck:0123456789@127.0.0.1:57759/integration_db",
    "REDIS_URL": "redis://:0123456789@127.0.0.1:44105/0",
    "NAMESPACE": "integration-deployment",
    "APPLICATION": "integration-deployment",
    "BACKUP_BUCKET": "integration-deployment-backups",
    "DATABASE_HOST": "local://",
    "DATABASE_MOUNT": "/dev/shm",  # noqa: S108 - the mount that was looked at
}


def gathered(expectation: Expectation) -> list[Query[Any]]:
    return [*expectation.queries(), *expectation.evidence_queries()]


def unpacked(name: str, folder: Path) -> Path:
    path = folder / name.removesuffix(".gz")
    path.write_bytes(gzip.decompress((HERE / name).read_bytes()))
    return path


def opscheck(*words: object, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "opscheck", *map(str, words)]
    environ = {**os.environ, **STATE_ENVIRONMENT, **environ}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environ)


def addresses(record: Any) -> dict[str, str]:
    """The variables that the run was given, as far as its record shows them."""
    known = {target["name"]: target["address"] for target in record["targets"]}
    variables = {"DATABASE_URL": "database", "REDIS_URL": "cache", "API_ENDPOINT": "tls://${API_ENDPOINT}"}
    # An address is shown without its credentials; a value that is an address alone would be hidden as a whole.
    found = {variable: known[name] for variable, name in variables.items() if name in known}
    return {variable: address.replace("://", "://user:0123456789@") for variable, address in found.items()}


RENAMED = {
    "memory that stays in use": "non-evictable memory",
    "size beside the median": "size compared with the median",
    "transactions kept": "transactions held back",
}
"""Measurements with another name since then."""


def verdicts(record: Any) -> dict[str, Any]:
    """What a run says of each expectation, without what only tells when it ran."""
    return {
        one["id"]: {
            "verdict": one["verdict"],
            "severity": one["severity"],
            "blocked_by": one["blocked_by"],
            "findings": [(each["subject"], each["severity"], each["since"]) for each in one["findings"]],
            "consequences": [(each["subject"], each["severity"]) for each in one["consequences"]],
            "measurements": [
                (RENAMED.get(each["name"], each["name"]), each["subject"], each["value"], each["limit"])
                for each in one["measurements"]
            ],
        }
        for one in record["results"]
    }


@pytest.mark.parametrize(
    "name", ["daily-healthy", "daily-later", "daily-broken", "kubernetes-broken", "recovery-broken"]
)
def test_snapshot_is_judged_as_before(name, tmp_path):
    snapshot = unpacked(f"{name}.snapshot.json.gz", tmp_path)
    before = json.loads(unpacked(f"{name}.run.json.gz", tmp_path).read_text())
    policy = HERE / f"{name.partition('-')[0]}.yaml"
    drill = ["--drill"] if name.startswith("recovery") else []

    done = opscheck(
        "run", "-p", policy, "--from", snapshot, "--json", tmp_path / "run.json", *drill, environ=addresses(before)
    )

    after = json.loads((tmp_path / "run.json").read_text())
    assert done.returncode == before["gate"]["exit_code"]
    assert verdicts(after) == verdicts(before)
    assert list(after["results"][0]) == list(before["results"][0])
    assert list(after) == list(before)


@pytest.mark.parametrize("name", ["daily", "kubernetes", "recovery"])
def test_policy_is_valid_as_before(name, monkeypatch, capsys):
    for variable, value in STATE_ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)

    assert exit_code(["validate", str(HERE / f"{name}.yaml")]) == 0, capsys.readouterr()


def test_state_file_gives_the_samples_of_before(tmp_path):
    state = tmp_path / "state.db"
    state.write_bytes((HERE / "state.db").read_bytes())
    draft = read_policy(HERE / "daily.yaml", environ=STATE_ENVIRONMENT)
    policy = draft.finish(today=datetime(2026, 11, 30, tzinfo=UTC).date())
    queries = {query for one in policy.expectations for query in gathered(one) if query.remembered}
    queries.add(Query.known["recovery.last_drill"](target="drills://state", drill="database-drill"))
    now = datetime(2026, 11, 30, 12, tzinfo=UTC)
    taken = {query: Observation(taken_at=now, duration_s=0.0) for query in queries}

    recalled = Memory(state, "production", policy.targets, policy.secrets).recall(taken)

    samples = {query.name: len(one.earlier) for query, one in recalled.items()}
    assert samples == {"postgres.largest-relations": 2, "postgres.sizes": 2, "recovery.last_drill": 1, "redis.info": 2}
