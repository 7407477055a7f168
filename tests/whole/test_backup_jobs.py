"""A policy of everything that makes backups, run whole: what is told, what it costs, and what never leaves it."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from opscheck.demo.kubernetes import (
    KubernetesApi,
    World,
    cronjob,
    job,
    namespace,
    velero_backup,
    velero_location,
    velero_schedule,
)
from tests.servers.interpreters import Interpreter

POLICY = """
version: 1
environment: test
defaults: {timeout: 30s}  # other tests may run beside
targets:
  cluster: {kind: kubernetes, namespace: shop}
  db-host: {kind: host, uri: "local://"}
expectations:
  - {id: dumps, check: backup.jobs, target: cluster, tool: cronjob, name: backup, age: {P2: 25h, P0: 49h}}
  - {id: cluster-state, check: backup.jobs, target: cluster, tool: velero, age: {P2: 25h, P0: 49h}, copies: {P3: 2}}
  - id: cron-jobs
    check: kubernetes.cronjobs
    target: cluster
    severity: P1
  - id: database
    check: backup.jobs
    target: db-host
    tool: pgbackrest
    command: FOLDER/pgbackrest
    age: {P2: 25h, P0: 49h}
    full_age: {P2: 8d}
    stanzas: [main]
"""
SCRIPT = "pg_dump postgresql://shop:geheim@db/shop | gzip > /backup/shop.gz"
PIPED = "the script of container dump pipes pg_dump into another program without pipefail"


def ago(**span: float) -> datetime:
    return datetime.now(UTC) - timedelta(**span)


def shop() -> World:
    containers = [{"name": "dump", "command": ["sh", "-c", SCRIPT]}]
    template = {"spec": {"template": {"spec": {"containers": containers}}}}
    due = ago(hours=10)
    night = {"schedule": f"{due.minute} {due.hour} * * *", "scheduled": due, "succeeded": ago(hours=9)}
    return World(
        namespace("shop"),
        namespace("velero"),
        cronjob("backup", "shop", created=ago(days=90), jobTemplate=template, **night),
        job("backup-1", "shop", cronjob="backup", created=ago(hours=10), completed=ago(hours=9)),
        velero_schedule("daily", created=ago(days=90)),
        velero_location(),
        *(velero_backup("daily", ago(hours=hours)) for hours in (33, 9)),
    )


def answer_of(began: datetime) -> list[Any]:
    moment = int(began.timestamp())
    return [
        {
            "name": "main",
            "status": {"code": 0, "message": "ok", "lock": {"backup": {"held": False}}},
            "repo": [{"key": 1, "status": {"code": 0, "message": "ok"}}],
            "backup": [
                {
                    "label": "20260301-020000F",
                    "type": "full",
                    "timestamp": {"start": moment, "stop": moment + 60},
                    "database": {"id": 1, "repo-key": 1},
                }
            ],
        }
    ]


@pytest.fixture(name="world")
def _world() -> World:
    return shop()


@pytest.fixture(name="api")
def _api(world):
    with KubernetesApi(world) as api:
        yield api


@pytest.fixture(name="run")
def _run(api, tmp_path: Path, interpreter: Interpreter):
    """Runs the policy; `lint` leaves the scripts be."""

    def run(*words: str, began: datetime | None = None, lint: bool = False, skip: bool = False) -> dict[str, Any]:
        (tmp_path / "answer").write_text(json.dumps(answer_of(began or ago(hours=9))))
        (tmp_path / "pgbackrest").write_text(f"#!/bin/sh\ncat {tmp_path}/answer\n")
        (tmp_path / "pgbackrest").chmod(0o755)
        policy = POLICY.replace("FOLDER", str(tmp_path))
        policy = policy if lint else policy.replace("tool: cronjob", "tool: cronjob, script_lint: false")
        policy = policy.replace("tool: velero", "tool: velero, when_absent: skip") if skip else policy
        (tmp_path / "policy.yaml").write_text(policy)
        done = interpreter(
            *("opscheck", "run", "-p", "policy.yaml", "--json", "run.json", *words),
            cwd=tmp_path,
            env=os.environ | {"KUBECONFIG": str(api.kubeconfig(tmp_path / "config"))},
        )
        record: dict[str, Any] = json.loads((tmp_path / "run.json").read_text())
        return record | {"out": done.stdout + done.stderr, "code": done.returncode}

    return run


def verdicts(record: dict[str, Any]) -> dict[str, str]:
    return {result["id"]: result["verdict"] for result in record["results"]}


def findings(record: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [one for result in record["results"] if result["id"] == name for one in result["findings"]]


def test_recent_backups_pass_with_one_list_of_each_kind(run, api):
    record = run()

    assert {"passed"} == set(verdicts(record).values()), record["out"]
    assert 0 == record["code"]
    asked = [request.path for request in api.requests if "/namespaces/" in request.path]
    assert len(asked) == len(set(asked))
    assert 3 == sum("velero.io" in path for path in asked)


def test_old_backup_is_reported_with_commands_by_each_check(run, world):
    with world.changing():
        world.add(velero_schedule("weekly", created=ago(days=90)))
        world.add(velero_backup("weekly", ago(days=3)))
    record = run(began=ago(days=9))

    (old,) = findings(record, "database")[:1]
    assert ("P0", "stanza main, repository 1") == (old["severity"], old["subject"])
    assert any("backup --stanza=main --repo=1" in command for command in old["remediation"]["commands"])
    (full,) = findings(record, "database")[1:]
    assert full["observed"].startswith("age of the last full backup 9d")
    subjects = {one["subject"] for one in findings(record, "cluster-state")}
    assert {"weekly"} == subjects


def test_cron_job_of_two_expectations_is_reported_once(run, world):
    with world.changing():
        world.add(cronjob("backup", "shop", created=ago(days=90), scheduled=ago(days=3), succeeded=ago(days=3)))
        world.add(job("backup-1", "shop", cronjob="backup", created=ago(days=3), completed=ago(days=3)))
    record = run()

    assert {"dumps": "violated", "cron-jobs": "violated"}.items() <= verdicts(record).items()
    assert [] == findings(record, "dumps")
    (consequence,) = next(result["consequences"] for result in record["results"] if result["id"] == "dumps")
    assert ("cron-jobs", "P0") == (consequence["told_by"], consequence["severity"])


def test_script_of_a_cron_job_is_in_no_output(run, tmp_path):
    record = run("--save", "snapshot.json", "--junit", "report.xml", lint=True)

    assert [PIPED] == [one["observed"] for one in findings(record, "dumps")]
    for name in ("snapshot.json", "report.xml", "run.json"):
        assert "geheim" not in (tmp_path / name).read_text()
        assert "gzip" not in (tmp_path / name).read_text()
    assert "geheim" not in record["out"]


def test_snapshot_gives_the_same_verdicts_without_a_cluster_or_a_host(run, tmp_path):
    live = run("--save", "snapshot.json", lint=True)
    (tmp_path / "pgbackrest").unlink()

    again = run("--from", "snapshot.json", lint=True)

    assert verdicts(live) == verdicts(again)
    assert [PIPED] == [one["observed"] for one in findings(again, "dumps")]


def test_cluster_without_velero_is_unknown_or_skipped_by_policy(run, world):
    world.withdraw("velero.io")

    assert "unknown" == verdicts(run())["cluster-state"]
    assert "skipped" == verdicts(run(skip=True))["cluster-state"]
