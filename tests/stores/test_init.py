"""The first hour: the wheel in an empty folder, real servers, and no command that was not printed."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from opscheck.demo.postgres import PostgreSQL
from opscheck.demo.redis import Redis
from opscheck.transport.processes import ServerProcess, accepts, free_port
from tests.servers.cache import NotThere
from tests.servers.fetching import cannot
from tests.servers.stores import debian
from tests.servers.tls import issued

ROOT = Path(__file__).parents[2]
NGINX = """\
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{ listen 127.0.0.1:{plain}; location / {{ return 200 "welcome"; }} }}
  server {{
    listen 127.0.0.1:{encrypted} ssl; ssl_certificate {pem}; ssl_certificate_key {pem};
    location / {{ return 200 "welcome"; }}
  }}
}}
"""


@pytest.fixture(name="wheel", scope="module")
def _wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--installer", "uv", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=240)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(name="redis_of_debian")
def _redis_of_debian():
    try:
        program = debian() / "redis-server"
    except NotThere as why:
        cannot(str(why))
    with Redis(executable=program, appendonly="yes") as redis:
        yield redis


@contextmanager
def nginx_running(program, folder):
    """Ports of nginx: plain, and with a certificate that it signed itself."""
    plain, encrypted = free_port(), free_port()
    pem = issued("localhost", names=["localhost"]).write(folder / "self-signed.pem")
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, plain=plain, encrypted=encrypted, pem=pem))
    server = ServerProcess("nginx", [program, "-e", folder / "error.log", "-c", config], folder / "log")
    try:
        server.wait_until(lambda: accepts(plain) and accepts(encrypted))
        yield plain, encrypted
    finally:
        server.stop()


def installed(wheel, folder):
    """`pip install` into a fresh environment; its programs."""
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", folder, "--python", sys.executable], check=True, capture_output=True, timeout=120)
    words = ["pip", "install", "--python", folder, "-c", ROOT / "constraints.txt", f"{wheel}[all]"]
    subprocess.run([uv, *words], check=True, capture_output=True, timeout=240)
    return folder / "bin"


def test_first_policy_is_right_but_for_the_self_signed_endpoint(wheel, nginx_program, redis_of_debian, tmp_path):
    (tmp_path / "servers").mkdir()
    empty = tmp_path / "empty"
    empty.mkdir()
    with (
        PostgreSQL(fsync="on") as postgres,
        nginx_running(nginx_program, tmp_path / "servers") as (plain, encrypted),
    ):
        variables = {
            "DATABASE_URL": postgres.dsn(),
            "REDIS_URL": redis_of_debian.url,
            "WEB_URL": f"http://127.0.0.1:{plain}",
            "SHOP_URL": f"https://localhost:{encrypted}",
        }
        began = time.monotonic()
        programs = installed(wheel, tmp_path / "venv")
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        env = {"PATH": path, "HOME": str(tmp_path), **variables}

        def typed(command):
            return subprocess.run(
                shlex.split(command), cwd=empty, env=env, capture_output=True, text=True, timeout=120, check=False
            )

        init = typed("opscheck init")
        assert init.returncode == 0, init.stdout + init.stderr
        seconds = time.monotonic() - began
        printed = re.findall(r"^  (opscheck .*)$", init.stdout, re.MULTILINE)
        assert printed == ["opscheck validate opscheck.yaml", "opscheck run -p opscheck.yaml"]
        validate, run = map(typed, (printed[0], f"{printed[1]} --json ../run.json"))
        again = typed("opscheck init --diff opscheck.yaml")

    assert validate.returncode == 0, validate.stdout + validate.stderr
    assert run.returncode == 1, run.stdout
    results = json.loads((tmp_path / "run.json").read_text())["results"]
    wrong = {one["id"]: one["verdict"] for one in results if one["verdict"] != "passed"}
    assert wrong == {"shop-certificate": "violated", "shop-response": "violated"}
    assert {one["check"].partition(".")[0] for one in results} == {"http", "postgres", "redis", "tls"}
    assert all(id_ in init.stdout.partition("Violated now:")[2] for id_ in wrong)
    assert (again.returncode, again.stdout) == (0, "")
    outputs = [one.stdout + one.stderr for one in (init, validate, run, again)]
    outputs.append((empty / "opscheck.yaml").read_text())
    secrets = [*variables.values(), redis_of_debian.url.split(":")[2].partition("@")[0]]
    assert [one for one in secrets if any(one in text for text in outputs)] == []
    print(f"{seconds:.1f} s from pip install to the first verdict")  # noqa: T201 - shown by -rP
    for one in (init, validate, run):
        print(f"$ {shlex.join(one.args)}\n{one.stdout}{one.stderr}")  # noqa: T201
    print(outputs[-1])  # noqa: T201
