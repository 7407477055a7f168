"""The whole environment: healthy, broken piece by piece, and gone afterwards."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import httpx
import kubernetes.client
import kubernetes.config
import psycopg
import pytest
import redis

from opscheck.demo.environment import FAULTS, Environment
from opscheck.transport.processes import FOLDER_PREFIX, ServerFailed, accepts

LOGS = "/api/v1/namespaces/integration-deployment/pods/{name}/log"


@pytest.fixture(name="environment", scope="module")
def _environment() -> Iterator[Environment]:
    with Environment() as environment:
        yield environment


@pytest.fixture(name="broken")
def _broken(environment):
    """Break something for one test."""
    names = []

    def break_(name: str) -> Environment:
        names.append(name)
        environment.break_(name)
        return environment

    yield break_
    for name in names:
        environment.repair(name)


def api(environment, path: str) -> httpx.Response:
    variables = environment.variables
    trust = ssl.create_default_context(cafile=variables["SSL_CERT_FILE"])
    with httpx.Client(verify=trust, trust_env=False) as client:
        return client.get(
            f"{variables['API_URL']}{path}", headers={"Authorization": f"Bearer {variables['API_TOKEN']}"}
        )


def cluster(environment, path: str, **query: str) -> httpx.Response:
    trust = ssl.create_default_context(cafile=environment.variables["SSL_CERT_FILE"])
    headers = {"Authorization": f"Bearer {environment.kubernetes.token}"}
    with httpx.Client(base_url=environment.kubernetes.url, verify=trust, trust_env=False, headers=headers) as client:
        return client.get(path, params=query)


def app_pods(environment) -> list[dict]:
    path = "/api/v1/namespaces/integration-deployment/pods"
    return cluster(environment, path, labelSelector="app=integration-deployment").json()["items"]


def error_lines(environment) -> list[str]:
    logs = [
        cluster(environment, LOGS.format(name=pod["metadata"]["name"]), sinceSeconds="86400").text
        for pod in app_pods(environment)
    ]
    return [line for log in logs for line in log.splitlines() if "error" in line.lower()]


def databases_clients(environment) -> int:
    with psycopg.connect(environment.variables["DATABASE_URL"]) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        return connection.execute(query).fetchone()[0]


def test_api_is_healthy(environment):
    assert {"status": "ok"} == api(environment, "/v1/health").json()
    assert api(environment, "/v1/metrics").json()["system_metrics"]["active_workflows"] < 500


def test_three_application_pods_are_ready(environment):
    pods = app_pods(environment)

    assert 3 == len(pods)
    assert all(status["ready"] for pod in pods for status in pod["status"]["containerStatuses"])
    assert ["ReplicaSet"] * 3 == [pod["metadata"]["ownerReferences"][0]["kind"] for pod in pods]


def test_kubeconfig_leads_to_the_cluster(environment):
    configuration = kubernetes.client.Configuration()
    kubernetes.config.load_kube_config(environment.variables["KUBECONFIG"], client_configuration=configuration)
    with kubernetes.client.ApiClient(configuration) as client:
        nodes = kubernetes.client.CoreV1Api(client).list_node().items

    assert 3 == len(nodes)


def test_nodes_and_pods_are_measured(environment):
    nodes = cluster(environment, "/apis/metrics.k8s.io/v1beta1/nodes").json()["items"]
    pods = cluster(environment, "/apis/metrics.k8s.io/v1beta1/pods", labelSelector="app=integration-deployment").json()

    assert 3 == len(nodes)
    assert 3 == len(pods["items"])


def test_log_reaches_back_a_day_and_has_few_errors(environment):
    (name, *_) = [pod["metadata"]["name"] for pod in app_pods(environment)]

    assert len(cluster(environment, LOGS.format(name=name), sinceSeconds="86400").text.splitlines()) > 100
    assert 0 < len(error_lines(environment)) < 10


def test_database_cache_and_bucket_answer_to_their_variables(environment):
    variables = environment.variables
    with redis.Redis.from_url(variables["REDIS_URL"]) as client:
        assert client.ping()
    client = boto3.client(
        "s3",
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        region_name=variables["AWS_DEFAULT_REGION"],
    )
    assert ["integration-deployment-backups"] == [found["Name"] for found in client.list_buckets()["Buckets"]]
    client.close()
    assert databases_clients(environment) <= 2


def test_disk_of_the_database_has_free_space(environment):
    assert "local://" == environment.variables["DATABASE_HOST"]
    assert os.path.ismount(environment.variables["DATABASE_MOUNT"])


def test_passwords_need_percent_encoding(environment):
    for name in ("DATABASE_URL", "REDIS_URL"):
        assert "%" in urlsplit(environment.variables[name]).password


def test_files_with_credentials_are_for_their_owner_only(environment):
    assert 0 == Path(environment.variables["KUBECONFIG"]).stat().st_mode & 0o077


def test_broken_api_reports_degraded(broken):
    answer = api(broken("api"), "/v1/health")

    assert (503, {"status": "degraded"}) == (answer.status_code, answer.json())


def test_workflows_pile_up(broken):
    assert 5000 == api(broken("workflows"), "/v1/metrics").json()["system_metrics"]["active_workflows"]


def test_pod_crashes_and_another_cannot_pull(broken):
    crashing, pulling, healthy = (pod["status"]["containerStatuses"][0] for pod in app_pods(broken("pods")))

    assert "CrashLoopBackOff" == crashing["state"]["waiting"]["reason"]
    assert crashing["restartCount"] > 5
    assert crashing["lastState"]["terminated"]["exitCode"]
    assert "ImagePullBackOff" == pulling["state"]["waiting"]["reason"]
    assert healthy["ready"]


def test_node_is_overloaded(broken):
    measured = cluster(broken("usage"), "/apis/metrics.k8s.io/v1beta1/nodes/node-2").json()

    assert 0.97 == int(measured["usage"]["cpu"].removesuffix("n")) / 4e9


def test_errors_are_logged_with_secrets_in_them(broken):
    lines = error_lines(broken("errors"))

    assert len(lines) > 300
    assert any("Authorization: Bearer ey" in line for line in lines)


def test_full_connections_still_admit_the_monitoring_role(broken):
    environment = broken("connections")
    usable = environment.postgres.usable_connections

    with pytest.raises(psycopg.OperationalError, match="slots"):
        psycopg.connect(environment.postgres.dsn("app"))

    assert databases_clients(environment) > 0.9 * usable


def test_stopped_cache_refuses_connections(broken):
    environment = broken("cache")

    assert not accepts(environment.redis.port)
    assert "redis-server" not in environment.processes


def served(url: str, bundle: str) -> tuple[datetime, datetime]:
    """From when to when the certificate is good that is served there; the handshake verifies it."""
    address = urlsplit(url)
    trust = ssl.create_default_context(cafile=bundle)
    with (
        socket.create_connection((address.hostname, address.port), timeout=10) as connection,
        trust.wrap_socket(connection, server_hostname=address.hostname) as secured,
    ):
        found = secured.getpeercert()
    return tuple(datetime.fromtimestamp(ssl.cert_time_to_seconds(found[end]), UTC) for end in ("notBefore", "notAfter"))


def test_certificate_of_the_api_has_most_of_ninety_days_left(environment):
    began, ends = served(environment.variables["API_URL"], environment.variables["SSL_CERT_FILE"])

    assert timedelta(days=90) == ends - began
    assert timedelta(days=70) < ends - datetime.now(UTC) < timedelta(days=80)
    assert f"https://{environment.variables['API_ENDPOINT']}" == environment.variables["API_URL"]


def test_certificate_fault_affects_the_api_only(broken):
    environment = broken("certificate")
    bundle = environment.variables["SSL_CERT_FILE"]

    began, ends = served(environment.variables["API_URL"], bundle)
    _, elsewhere = served(environment.kubernetes.url, bundle)

    assert timedelta(days=90) == ends - began
    assert timedelta(hours=23) < ends - datetime.now(UTC) <= timedelta(hours=24)
    assert elsewhere - datetime.now(UTC) > timedelta(days=70)
    test_api_is_healthy(environment)


def sizes(environment) -> dict[str, int]:
    """What there is in the bucket of backups, without the checksums."""
    variables = environment.variables
    client = boto3.client(
        "s3",
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        region_name=variables["AWS_DEFAULT_REGION"],
    )
    found = client.list_objects_v2(Bucket=variables["BACKUP_BUCKET"])["Contents"]
    client.close()
    return {one["Key"]: one["Size"] for one in found if not one["Key"].endswith(".sha256")}


def test_bucket_has_a_week_of_backups_and_a_new_one(environment):
    found = sizes(environment)
    dumps = sorted(key for key in found if key.startswith("database/"))
    newest = datetime.strptime(dumps[-1].rpartition("/")[2], "backup-%Y%m%d-%H%M%S.dump").replace(tzinfo=UTC)

    assert 7 == len([key for key in dumps if key.endswith("-020000.dump")])
    assert 7 == len([key for key in found if key.startswith("config/")])
    assert timedelta(0) <= datetime.now(UTC) - newest < timedelta(minutes=30)
    assert all(size > 1000 for key, size in found.items() if not key.startswith("logs/"))


def test_logs_are_shipped_every_minute(environment):
    newest = max(key for key in sizes(environment) if key.startswith("logs/"))
    at = datetime.strptime(newest.rpartition("/")[2], "application-%Y%m%d-%H%M%S.log.gz").replace(tzinfo=UTC)

    assert timedelta(0) <= datetime.now(UTC) - at < timedelta(minutes=2)


def test_damaged_backups_have_successful_jobs_in_the_cluster(broken, environment):
    before = sizes(environment)

    found = sizes(broken("backups"))

    dumps = sorted(key for key in found if key.startswith("database/"))
    assert len(found) < len(before)
    assert found[dumps[-1]] < 0.7 * before[dumps[-1]]
    assert 20 == found[max(key for key in found if key.startswith("config/"))]
    jobs = cluster(environment, "/apis/batch/v1/namespaces/integration-deployment/jobs").json()["items"]
    assert {1} == {job["status"]["succeeded"] for job in jobs}
    assert not any("pipefail" in script for script in scripts(environment))


def scripts(environment) -> list[str]:
    """Those that make the backups."""
    path = "/apis/batch/v1/namespaces/integration-deployment/cronjobs"
    templates = [
        found["spec"]["jobTemplate"]["spec"]["template"] for found in cluster(environment, path).json()["items"]
    ]
    return [container["command"][-1] for template in templates for container in template["spec"]["containers"]]


def test_backup_scripts_stop_at_the_first_error(environment):
    assert 2 == len(scripts(environment))
    assert all(script.startswith("set -euo pipefail\n") for script in scripts(environment))


@pytest.mark.parametrize("name", FAULTS)
def test_repaired_fault_leaves_no_difference(environment, name):
    environment.break_(name)
    environment.break_(name)
    environment.repair(name)

    test_api_is_healthy(environment)
    test_three_application_pods_are_ready(environment)
    test_log_reaches_back_a_day_and_has_few_errors(environment)
    test_database_cache_and_bucket_answer_to_their_variables(environment)
    test_certificate_of_the_api_has_most_of_ninety_days_left(environment)
    test_bucket_has_a_week_of_backups_and_a_new_one(environment)
    test_backup_scripts_stop_at_the_first_error(environment)


def test_unknown_fault_lists_the_known_ones(environment):
    with pytest.raises(ValueError, match="unknown fault 'disk'; known faults: api, workflows"):
        environment.break_("disk")


@pytest.fixture(name="folders")
def _folders(monkeypatch, tmp_path):
    """Where temporary folders go during a test, so that what is left behind can be seen."""
    tmp_path.chmod(0o711)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_two_environments_run_at_once_and_leave_nothing(folders):
    lines: list[str] = []
    with Environment(lines.append) as one, Environment(lines.append, postgres_version=16) as other:
        processes = [*one.processes.values(), *other.processes.values()]
        one.break_("cache")
        one.break_("pods")

        assert not accepts(one.redis.port)
        assert accepts(other.redis.port)
        assert 3 == len([pod for pod in app_pods(other) if pod["status"]["phase"] == "Running"])
        assert not set(one.variables.values()) & set(other.variables.values()) - {*_shared(one.variables)}

    assert ["HTTPS", "Kubernetes", "PostgreSQL", "Redis", "S3"] == sorted(line.split()[0] for line in lines[:5])
    assert 6 == len(processes)
    assert [] == list(folders.iterdir())
    assert not any(Path(f"/proc/{pid}").exists() for pid in processes)


def _shared(variables) -> Iterator[str]:
    """What two environments on one machine have in common."""
    names = ("NAMESPACE", "APPLICATION", "BACKUP_BUCKET", "AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "DATABASE_HOST")
    return (variables[name] for name in (*names, "DATABASE_MOUNT", "NO_PROXY", "no_proxy"))


def test_failed_start_of_one_server_stops_the_others(folders):
    with pytest.raises((ServerFailed, KeyError)), Environment(postgres_version=9):
        pass

    assert [] == list(folders.iterdir())


HELD = """
import json, sys
from opscheck.demo.environment import Environment
from opscheck.demo.signals import ending_in_order
from contextlib import closing

with ending_in_order(), closing(Environment({progress})) as environment, environment:
    print(json.dumps([*environment.processes.values()]), flush=True)
    import signal
    signal.pause()
"""


def test_interrupt_leaves_nothing(new_interpreter, folders):
    process = started(HELD.format(progress="lambda line: None"), folders)
    pids = json.loads(process.stdout.readline())

    assert 3 == len(pids)

    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)

    assert process.returncode != 0
    assert [] == list(folders.iterdir())
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.parametrize("after", [0.0, 0.5])
def test_signal_during_the_start_leaves_nothing(new_interpreter, folders, after):
    process = started(HELD.format(progress="lambda line: print(line, flush=True)"), folders)
    process.stdout.readline()  # the first part runs, the others are starting
    time.sleep(after)

    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)

    assert [] == [found for found in folders.iterdir() if found.name.startswith(FOLDER_PREFIX)]


def started(script: str, folders: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "TMPDIR": str(folders)},
    )
