"""The policy that `opscheck init` writes for a compose file."""

import json
import os

import pytest

from opscheck.demo.redis import Redis
from opscheck.demo.serving import LoopbackServer, Response
from opscheck.transport.processes import free_port
from tests.policy.conftest import TODAY

PLANTED = "planted-9c41d7"
SECRET = "secret-5e0b2a"
COMPOSE = """
services:
  app: {{image: "shop/app:1.4", ports: ["{closed}:8080"]}}
  cache:
    image: redis:8
    command: [redis-server, --requirepass, {planted}]
    ports: ["127.0.0.1:{cache}:6379"]
  db:
    image: postgres:${{PG_TAG:-18}}
    ports: ["{closed}:5432"]
    environment: {{POSTGRES_USER: shop, POSTGRES_PASSWORD: {planted}}}
  pool: {{image: "edoburu/pgbouncer", ports: ["{closed}:6432"]}}
  sessions: {{image: "valkey/valkey:8-alpine"}}
  web: {{image: "nginx:1.27", ports: ["{web}:80"]}}
"""


@pytest.fixture(name="redis", scope="module")
def _redis():
    with Redis(secret=SECRET) as redis:
        yield redis


@pytest.fixture(name="opscheck")
def _opscheck(redis, tmp_path, interpreter):
    with LoopbackServer(lambda exchange: exchange.send(Response(body=b"welcome"))) as web:
        text = COMPOSE.format(planted=PLANTED, cache=redis.port, web=web.port, closed=free_port())
        (tmp_path / "compose.yaml").write_text(text)

        def opscheck(*words, **variables):
            env = {name: value for name, value in os.environ.items() if not name.endswith(("_URL", "_URI", "_DSN"))}
            return interpreter("opscheck", *words, cwd=tmp_path, env=env | variables)

        yield opscheck


def test_services_of_a_compose_file_become_targets_without_their_passwords(opscheck, redis, tmp_path):
    done = opscheck("init", "--compose", "compose.yaml", "--date", str(TODAY))

    assert done.returncode == 0, done.stderr
    text = (tmp_path / "opscheck.yaml").read_text()
    assert f'cache: {{kind: redis, url: "${{CACHE_URL:-redis://127.0.0.1:{redis.port}}}"}}\n' in text
    assert 'db: {kind: postgres, dsn: "${DB_URL}"}\n' in text
    assert 'pool: {kind: pgbouncer, dsn: "${POOL_URL}"}\n' in text
    assert "# Service db of the compose file (postgres:${PG_TAG:-18}), published on 127.0.0.1:" in text
    assert "Set DB_URL, such as postgresql://USER:PASSWORD@127.0.0.1:" in " ".join(text.replace("#", "").split())
    assert "  app:" not in text
    assert "sessions: not proposed: the compose file publishes no port for 6379" in done.stderr
    assert "variable DB_URL not set" in done.stderr
    assert "Not run yet: DB_URL, POOL_URL not set.\n" in done.stdout
    assert "  export DB_URL=…  # the comment in opscheck.yaml has an example\n" in done.stdout
    assert [one for one in (PLANTED, SECRET) if one in text + done.stdout + done.stderr] == []


def test_policy_of_a_compose_file_runs_once_its_variables_are_set(opscheck, redis, tmp_path):
    variables = {"CACHE_URL": redis.url}
    (tmp_path / "compose.yaml").write_text((tmp_path / "compose.yaml").read_text().replace("postgres:", "own:"))

    written = opscheck("init", "--compose", "compose.yaml", **variables)
    run = opscheck("run", "--only", "cache-*", "--only", "web-*", "--json", "run.json", POOL_URL="host=a", **variables)

    assert written.returncode == 0, written.stderr
    assert run.returncode == 0, run.stdout
    results = json.loads((tmp_path / "run.json").read_text())["results"]
    assert {one["check"] for one in results} >= {"redis.ping", "redis.memory", "http.response"}


def test_compose_file_of_this_folder_is_found(opscheck, tmp_path):
    done = opscheck("init", "--json")

    assert done.returncode == 0, done.stderr
    assert {"cache", "web"} <= {one["id"] for one in json.loads(done.stdout)["targets"]}


def test_variable_that_leads_to_a_service_is_its_target(opscheck, redis, tmp_path):
    done = opscheck("init", "--json", REDIS_URL=redis.url)

    targets = {one["id"]: one for one in json.loads(done.stdout)["targets"]}
    assert "cache" not in targets
    assert targets["redis"]["url"] == "${REDIS_URL}"
