"""Velero's objects on a real API server, by its own published definitions, and cron jobs that make backups there."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import yaml

from checks.backup.test_jobs import test_backups_are_made as check
from opscheck import Findings, KubernetesTarget, Severity
from opscheck.core.observation import CouldNotObserve, ProbeError, ProblemKind
from opscheck.demo.kubernetes import cronjob, velero_backup, velero_location, velero_schedule
from opscheck.systems.backup.jobs import BackupJobs
from opscheck.systems.backup.velero import ListStorageLocations, ListVeleroBackups, ListVeleroSchedules
from opscheck.systems.kubernetes.batch import ListCronJobs
from opscheck.systems.kubernetes.permissions import render
from opscheck.systems.kubernetes.probe import KubernetesSession, open_session
from opscheck.testing import expect, judge
from tests.cluster.crds import VELERO
from tests.cluster.manifests import namespace

Object = dict[str, Any]

SPACE = "velero"
NOTHING = timedelta(0)
LIMITS = {"age": {"P2": "25h", "P0": "49h"}}


@pytest.fixture(name="api", scope="module")
def _api(cluster, serve):
    serve(VELERO)
    cluster.api.apply(namespace(SPACE))
    return cluster.api


@pytest.fixture(name="session", scope="module")
def _session(cluster, api) -> Iterator[KubernetesSession]:
    session = open_session(target_of(cluster), 20)
    yield session
    session.close()


def put(api, *objects: Object) -> None:
    """Make them as they are given. Velero's definitions have no status by itself: it is a field like others."""
    for one in objects:
        if "velero.io" not in one["apiVersion"]:
            api.apply(one)
            continue
        api.apply({name: value for name, value in one.items() if name != "status"})
        api.patch(one, {"status": one["status"]})


def target_of(cluster, token: str | None = None) -> KubernetesTarget:
    return KubernetesTarget(kind="kubernetes", namespace=SPACE, kubeconfig=str(cluster.kubeconfig(token=token)))


@pytest.fixture(name="judged")
def _judged(api, session) -> Iterator[Callable[..., Findings]]:
    """Make these objects, judge them through the probe some time later, and take them away again."""
    made_here: list[Object] = []

    def judged(*objects: Object, later: timedelta = NOTHING, **fields: Any) -> Findings:
        put(api, *objects)
        made_here.extend(objects)
        return judge(check, expectation(**fields), lambda query: answer(session, query), datetime.now(UTC) + later)

    yield judged
    for one in made_here:
        api.delete(one)


def expectation(**fields: Any) -> BackupJobs:
    given = {"tool": "velero", **LIMITS} | fields
    return expect(BackupJobs, KubernetesTarget(kind="kubernetes", namespace=SPACE), **given)


def answer(session, query):
    try:
        return session.ask(query, 20)
    except ProbeError as error:
        return error.problem


def a_backup(schedule: str = "daily", **fields: Any) -> Object:
    """One that began when it was created, as Velero's own do: the server alone says when that was."""
    given = {"took": timedelta(seconds=5)} | fields
    return velero_backup(schedule, given.pop("began", datetime.now(UTC)), **given)


def around() -> tuple[Object, ...]:
    return velero_schedule("daily"), velero_location()


HOUR = timedelta(hours=1)


def test_own_backup_passes_until_it_is_old(judged):
    backup = a_backup()

    assert [] == judged(*around(), backup).violations
    assert [] == judged(later=24 * HOUR).violations
    (finding,) = judged(later=26 * HOUR).violations
    assert (Severity.P2, "daily", "<= 1d1h") == (finding.severity, finding.subject, finding.expected)
    assert finding.observed.startswith("age of the last good backup 1d2h (daily-")
    (finding,) = judged(later=50 * HOUR).violations
    assert Severity.P0 == finding.severity


def test_backup_synced_from_the_bucket_does_not_count(judged):
    """As Velero's own controller does it: the object is created now, and began two hours ago."""
    (finding,) = judged(*around(), a_backup(began=datetime.now(UTC) - 2 * HOUR)).violations

    assert finding.observed.startswith("no good backup yet")
    assert any("did not make here" in line for line in finding.evidence)
    assert [] == judged(count_synced=True).violations


@pytest.mark.parametrize("phase", ["PartiallyFailed", "Failed", "FailedValidation"])
def test_failed_backup_does_not_count(judged, phase):
    (finding,) = judged(*around(), a_backup(phase=phase, errors=3, failureReason="no such bucket")).violations

    assert finding.observed.startswith("no good backup yet")
    assert any(f"is {phase} (3 errors)" in line for line in finding.evidence)
    assert finding.facts["failed_backup"].startswith("daily-")


@pytest.mark.parametrize("phase", ["New", "Queued", "ReadyToStart", "InProgress", "WaitingForPluginOperations"])
def test_backup_that_does_not_end_is_reported(judged, phase):
    findings = judged(*around(), a_backup(name="hangs", phase=phase), a_backup(), later=13 * HOUR)

    (finding,) = findings.violations
    assert finding.observed.startswith(f"hangs is {phase} for 13h")


def test_paused_schedule_and_missing_bucket_are_reported(judged):
    gone = velero_location(phase="Unavailable", message="AccessDenied: Access Denied")
    findings = judged(velero_schedule("daily", paused=True), gone, a_backup())

    assert [("daily", "it is paused"), ("storage location default", "it is Unavailable")] == [
        (one.subject, one.observed) for one in findings.violations
    ]


@pytest.mark.parametrize("kind", [ListVeleroBackups, ListVeleroSchedules, ListStorageLocations])
def test_each_kind_is_one_list(judged, session, cluster, kind):
    judged(*around(), a_backup())
    before = len(lists(cluster, kind))
    (found,) = session.ask(kind("target", SPACE), 20).items

    assert found.name
    assert 1 == len(lists(cluster, kind)) - before


def lists(cluster, kind) -> list[Object]:
    where = f"/apis/velero.io/v1/namespaces/{SPACE}/{kind.plural}?"
    return [entry for entry in cluster.requests_of("opscheck") if where in entry["requestURI"]]


def test_printed_permissions_allow_every_query(cluster, api, judged):
    asked = expectation()
    printed = render(asked.target, [rule for query in asked.described() for rule in query.permissions()])
    api.apply(*yaml.safe_load_all(printed))
    session = open_session(target_of(cluster, api.token("opscheck", SPACE)), 20)
    judged(*around(), a_backup())
    try:
        findings = judge(check, asked, lambda query: answer(session, query), datetime.now(UTC))
    finally:
        session.close()

    assert [] == findings.violations


def test_missing_permission_is_unknown(cluster, api, judged):
    rules = [rule for query in expectation().described() for rule in query.permissions()]
    fewer = [rule for rule in rules if getattr(rule, "resource", "") != "backups"]
    named = yaml.safe_dump_all(_renamed(yaml.safe_load_all(render(expectation().target, fewer))))
    api.apply(*yaml.safe_load_all(named))
    session = open_session(target_of(cluster, api.token("fewer", SPACE)), 20)
    judged(*around(), a_backup())
    try:
        with pytest.raises(CouldNotObserve) as raised:
            judge(check, expectation(), lambda query: answer(session, query), datetime.now(UTC))
    finally:
        session.close()

    assert ProblemKind.DENIED is raised.value.problem.kind
    assert "backups" in raised.value.problem.text


def _renamed(objects):
    return [json.loads(json.dumps(one).replace('"opscheck"', '"fewer"')) for one in objects]


def test_script_of_a_cron_job_is_reported_by_its_flaws_only(api, judged, session):
    """Of what the server sends of it, nothing is in the answer."""
    script = "pg_dump postgresql://shop:geheim@db/shop | gzip > /backup/shop.gz"
    container = {"name": "dump", "image": "postgres:17", "command": ["sh", "-c"], "args": [script]}
    template = {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}}
    job = cronjob("backup", SPACE, succeeded=datetime.now(UTC), scheduled=datetime.now(UTC), jobTemplate=template)
    findings = judged(job, tool="cronjob", namespace=SPACE)
    answered = msgspec.json.encode(session.ask(ListCronJobs("target", SPACE), 20))

    assert ["the script of container dump pipes pg_dump into another program without pipefail"] == [
        one.observed for one in findings.violations
    ]
    assert b"geheim" not in answered
    assert b"gzip" not in answered


def test_fixtures_are_valid_by_the_definitions(api):
    """The server drops what a definition does not know: what is asked for here is what is stored."""
    whole = a_backup(phase="PartiallyFailed", errors=2, warnings=1, failureReason="x", validationErrors=["y"])
    refused = velero_schedule("refused", phase="FailedValidation", validationErrors=["invalid schedule"])
    for one in (whole, refused, velero_location("offsite", message="x", default=False)):
        put(api, one)
        stored = api.get(one)
        api.delete(one)

        assert one["spec"].items() <= stored["spec"].items()
        assert one["status"] == stored["status"]
