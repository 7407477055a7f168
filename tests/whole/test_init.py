"""`opscheck init` on the demo's servers: its policy passes while they are healthy, and fails once they are not."""

import json
import os
from contextlib import contextmanager

import pytest

from opscheck.demo.cluster import NAMESPACE

SOURCES = ("--from-environment", "--namespace", NAMESPACE)
BROKEN = {
    "pods": {f"rollout-{NAMESPACE}", f"pods-{NAMESPACE}"},
    "connections": {"database-connections"},
    "cache": {"redis-ping"},
}


@pytest.fixture(name="opscheck")
def _opscheck(environment, interpreter, tmp_path):
    """The command, in a folder of its own, with the variables that the demo prints."""

    def opscheck(*words, **variables):
        env = {**os.environ, **environment.variables, **variables}
        return interpreter("opscheck", *words, cwd=tmp_path, env=env, timeout=120)

    return opscheck


@contextmanager
def broken(environment):
    """All of BROKEN at once."""
    try:
        for fault in BROKEN:
            environment.break_(fault)
        yield
    finally:
        for fault in BROKEN:
            environment.repair(fault)


def verdicts(folder):
    """Verdict by id of the last run."""
    return {one["id"]: one["verdict"] for one in json.loads((folder / "run.json").read_text())["results"]}


def test_policy_of_the_demo_passes_fails_when_broken_and_lacks_nothing(opscheck, environment, tmp_path):
    written = opscheck("init", *SOURCES)
    assert written.returncode == 0, written.stdout + written.stderr
    text = (tmp_path / "opscheck.yaml").read_text()

    validated = opscheck("validate")
    healthy = opscheck("run", "--json", "run.json")
    assert (validated.returncode, healthy.returncode) == (0, 0), validated.stdout + healthy.stdout
    found = verdicts(tmp_path)
    assert set(found.values()) == {"passed"}
    checks = {f"kubernetes.{one}" for one in ("cronjobs", "ingresses", "rollout", "services", "volumes")}
    checks |= {"backup.jobs", "http.response", "postgres.connections", "redis.memory", "tls.certificate"}
    assert [one for one in checks if f"check: {one}\n" not in text] == []

    with broken(environment):
        opened = opscheck("run", "--json", "run.json")
        assert opened.returncode == 1, opened.stdout + opened.stderr
        violated = {one for one, verdict in verdicts(tmp_path).items() if verdict == "violated"}
        assert [ids for ids in BROKEN.values() if not ids <= violated] == []

    again = [opscheck("init", *SOURCES, "--diff", "opscheck.yaml") for _ in range(2)]
    assert [one.returncode for one in again] == [0, 0], again[0].stdout
    assert "opscheck.yaml: nothing new" in again[0].stderr
    assert (tmp_path / "opscheck.yaml").read_text() == text


def test_secret_of_the_environment_is_in_no_output(opscheck, environment, tmp_path):
    planted = "planted-3f9a1c77"
    extra = {"SHOP_TOKEN": planted, "SHOP_URL": f"http://user:{planted}@127.0.0.1:9/{planted}"}

    runs = [
        opscheck("init", *SOURCES, "--waive-current", "30d", "--owner", "ops", **extra),
        opscheck("init", *SOURCES, "-o", "-", **extra),
        opscheck("init", *SOURCES, "-o", "other.yaml", "--json", **extra),
    ]

    assert [one.returncode for one in runs] == [0, 0, 0], runs[0].stderr
    outputs = [text for one in runs for text in (one.stdout, one.stderr)]
    outputs += [path.read_text() for path in tmp_path.glob("*.yaml")]
    secrets = [planted, environment.variables["API_TOKEN"], environment.variables["AWS_SECRET_ACCESS_KEY"]]
    secrets += [environment.kubernetes.token]
    assert [one for one in secrets if any(one in text for text in outputs)] == []
    assert "${SHOP_URL}" in outputs[2]
