"""`opscheck init` on real servers: what it writes is valid, passes, and lacks nothing."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from opscheck.demo.certificates import issue, write_bundle
from opscheck.demo.postgres import PostgreSQL
from opscheck.demo.redis import Redis
from opscheck.demo.serving import LoopbackServer, Response

SECRET = "planted-7f3e9c"
DAY = "2026-11-30"


@dataclass
class World:
    """Servers that run, and the variables that name them."""

    environ: dict[str, str]
    redis: Redis
    secrets: tuple[str, ...]


@pytest.fixture(scope="module", name="world")
def _world(tmp_path_factory) -> Iterator[World]:
    tls = issue()
    bundle = write_bundle(tmp_path_factory.mktemp("trust") / "ca.pem", tls.authority)
    settings = {"archive_mode": "on", "archive_command": "test ! -f %p.never", "fsync": "on"}
    with (
        Redis(secret=SECRET, appendonly="yes") as redis,
        PostgreSQL(**settings) as postgres,
        LoopbackServer(lambda exchange: exchange.send(Response()), tls=tls) as api,
    ):
        environ = {
            "REDIS_URL": redis.url,
            "DATABASE_URL": postgres.dsn(),
            "API_URL": api.url.replace("https://", f"https://user:{SECRET}@"),
            "QUEUE_URL": f"amqp://user:{SECRET}@127.0.0.1",
        }
        secrets = (SECRET, postgres._passwords["opscheck"], *environ.values())
        names = ("PATH", "HOME", "TMPDIR", "PYTHONPATH", "LANG")
        kept = {name: os.environ[name] for name in names if name in os.environ}
        yield World(kept | environ | {"SSL_CERT_FILE": str(bundle)}, redis, secrets)


@pytest.fixture(name="opscheck")
def _opscheck(tmp_path, interpreter, world):
    """Run a command in an empty folder; no output may have a secret."""

    def run(*words, **environ):
        environment = {name: value for name, value in (world.environ | environ).items() if value}
        done = interpreter("opscheck", *words, cwd=tmp_path, env=environment, timeout=120)
        for secret in world.secrets:
            assert secret not in done.stdout + done.stderr
        return done.returncode, done.stdout, done.stderr

    return run


def policy(folder: Path, name: str = "opscheck.yaml"):
    return yaml.safe_load((folder / name).read_text())


def test_new_policy_is_valid_passes_and_lacks_nothing(opscheck, tmp_path, world):
    code, out, errors = opscheck("init", "--date", DAY)

    assert code == 0, errors
    assert "opscheck.yaml: wrote 3 targets and 13 expectations" in out
    assert "All 13 expectations passed." in out
    assert "  opscheck run -p opscheck.yaml" in out
    assert "QUEUE_URL: no check for amqp:// addresses" in errors
    written = (tmp_path / "opscheck.yaml").read_text()
    assert not any(secret in written for secret in world.secrets)
    assert "# 2026-11-30: " in written
    assert opscheck("validate", "opscheck.yaml")[:2] == (0, "opscheck.yaml: 13 expectations, no errors\n")
    assert opscheck("run", "-p", "opscheck.yaml")[0] == 0

    code, out, errors = opscheck("init", "--diff", "opscheck.yaml")

    assert (code, out) == (0, "")
    assert "opscheck.yaml: nothing new" in errors
    assert opscheck("init", "--add", "opscheck.yaml")[0] == 0
    assert (tmp_path / "opscheck.yaml").read_text() == written


def test_two_runs_write_the_same(opscheck, tmp_path):
    opscheck("init", "-o", "one.yaml", "--date", DAY)
    opscheck("init", "-o", "two.yaml", "--date", DAY)

    assert policy(tmp_path, "one.yaml") == policy(tmp_path, "two.yaml")


def test_ids_stay_when_another_target_comes(opscheck, tmp_path):
    opscheck("init", "-o", "one.yaml", DATABASE_URL="", API_URL="")
    opscheck("init", "-o", "all.yaml")

    one, every = policy(tmp_path, "one.yaml"), policy(tmp_path, "all.yaml")
    assert [entry for entry in every["expectations"] if entry.get("target") == "redis"] == one["expectations"]


def test_added_expectations_leave_every_line(opscheck, tmp_path):
    opscheck("init", "--date", DAY, DATABASE_URL="", API_URL="")
    file = tmp_path / "opscheck.yaml"
    before = file.read_text().replace("id: redis-ping", "id: pong   # renamed").replace("redis: {", "cache: {")
    before = before.replace("target: redis", "target: cache")
    file.write_text(before)

    code, out, _ = opscheck("init", "--diff", "opscheck.yaml", "--date", DAY)

    assert code == 1
    assert out.startswith("--- opscheck.yaml\n+++ opscheck.yaml (proposed)\n@@ ")
    assert [line for line in out.splitlines() if line.startswith("-")] == ["--- opscheck.yaml"]
    assert file.read_text() == before

    code, out, _ = opscheck("init", "--add", "opscheck.yaml", "--date", DAY)

    assert code == 0
    assert "already there: pong, redis-clients, redis-memory, redis-persistence" in out
    lines = iter(file.read_text().splitlines())
    assert all(line in lines for line in before.splitlines())  # each of them, in their order
    assert set(policy(tmp_path)["targets"]) == {"cache", "api", "database"}
    assert opscheck("run", "-p", "opscheck.yaml")[0] == 0


def test_declined_checks_and_ids_stay_away(opscheck, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "version: 1\nenvironment: here\n"
        "# opscheck init: ignore redis.memory\n# opscheck init: ignore redis-ping\n"
        "#   opscheck init: ignore redis-clients\n"  # a later line of a comment
    )

    code, out, _ = opscheck("init", "--add", "mine.yaml", DATABASE_URL="", API_URL="")

    assert code == 0
    assert "declined by a comment: redis-memory, redis-ping" in out
    assert [one["id"] for one in policy(tmp_path, "mine.yaml")["expectations"]] == [
        "redis-clients",
        "redis-persistence",
    ]


def test_violated_state_stays_violated_and_can_be_waived(opscheck, tmp_path):
    gone = "redis://127.0.0.1:1"
    code, out, errors = opscheck("init", REDIS_URL=gone, DATABASE_URL="", API_URL="")

    assert code == 0
    assert "Violated now:\n  P0 redis-ping: " in out
    assert "redis: INFO not read: " in errors
    assert opscheck("run", "-p", "opscheck.yaml", REDIS_URL=gone)[0] == 1

    words = ("--waive-current", "30d", "--owner", "operations", "--date", DAY)
    code, out, _ = opscheck("init", "--add", "opscheck.yaml", *words, REDIS_URL=gone, DATABASE_URL="", API_URL="")

    assert code == 0
    assert "Waived:\n  P0 redis-ping: " in out
    (waiver,) = policy(tmp_path)["waivers"]
    assert (waiver["id"], waiver["owner"], waiver["expires"]) == ("redis-ping", "operations", "2026-12-30")
    assert waiver["reason"].startswith("violated when opscheck init ran on 2026-11-30: ")
    assert "127.0.0.1:1" not in (tmp_path / "opscheck.yaml").read_text()
    assert opscheck("validate", "opscheck.yaml", REDIS_URL=gone)[0] == 0


def test_json_has_the_same(opscheck, tmp_path):
    code, out, _ = opscheck("init", "--json", "--date", DAY)
    document = json.loads(out)

    assert (code, document["schema"], document["mode"]) == (0, "opscheck.init/v1", "new")
    assert [one["id"] for one in document["targets"]] == ["api", "database", "redis"]
    assert [one["id"] for one in document["expectations"]] == [one["id"] for one in policy(tmp_path)["expectations"]]
    assert document["not_seen"] == ["QUEUE_URL: no check for amqp:// addresses"]
    assert (document["violated"], document["unknown"], document["not_run"]) == ([], [], "")

    code, out, _ = opscheck("init", "--json", "--diff", "opscheck.yaml")
    document = json.loads(out)

    assert (code, document["expectations"], document["diff"]) == (0, [], "")
    assert document["covered"]["redis-ping"] == "redis-ping"


def test_policy_goes_to_standard_output(opscheck, tmp_path):
    code, out, errors = opscheck("init", "-o", "-", "--date", DAY)

    assert code == 0
    assert "standard output: proposed 3 targets and 13 expectations" in errors
    assert set(yaml.safe_load(out)["targets"]) == {"api", "database", "redis"}
    assert list(tmp_path.iterdir()) == []


def test_nothing_found_is_an_error_without_a_file(opscheck, tmp_path):
    code, out, errors = opscheck("init", REDIS_URL="", DATABASE_URL="", API_URL="", QUEUE_URL="")

    assert (code, out) == (21, "")
    assert errors.startswith("opscheck: nothing found; no file was written\nSet a variable such as DATABASE_URL")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["opscheck.yaml", "opscheck.yml"])
def test_existing_file_is_never_overwritten(opscheck, tmp_path, name):
    (tmp_path / name).write_text("mine")

    code, out, errors = opscheck("init")

    assert (code, out) == (4, "")
    assert f"{name} exists and is never overwritten" in errors
    assert f"--add {name}" in errors
    assert f"--diff {name}" in errors
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--add", "a.yaml", "--diff", "a.yaml"], "--add and --diff exclude each other"),
        (["--add", "gone.yaml"], "gone.yaml: no such file"),
        (["--waive-current", "30d"], "--waive-current needs --owner NAME"),
        (["--owner", "me"], "--owner is for --waive-current"),
        (["--waive-current", "soon", "--owner", "me"], "--waive-current: expected a duration with its unit"),
        (["--waive-current", "0d", "--owner", "me"], "--waive-current: expected a duration longer than 0s"),
        (["-o", "-", "--waive-current", "1d", "--owner", "me"], "use -o FILE or --add FILE"),
        (["--date", "today"], "--date: expected YYYY-MM-DD, got today"),
        (["--compose", "gone.yaml"], "gone.yaml: cannot be read: No such file or directory"),
        (["-o", "folder/"], "exists and is never overwritten"),
    ],
)
def test_wrong_usage_is_one_clear_line(opscheck, tmp_path, words, says):
    (tmp_path / "folder").mkdir()
    code, out, errors = opscheck("init", *words)

    assert (code, out) == (4, "")
    assert says in errors
    assert len(errors.splitlines()) == 1


def test_list_in_flow_style_is_refused_with_its_line(opscheck, tmp_path):
    text = "version: 1\nenvironment: here\nexpectations: []\n"
    (tmp_path / "flow.yaml").write_text(text)

    code, _, errors = opscheck("init", "--add", "flow.yaml")

    assert code == 4
    assert "flow.yaml:3: `expectations` is written as […] on one line; write one entry per line first" in errors
    assert (tmp_path / "flow.yaml").read_text() == text
