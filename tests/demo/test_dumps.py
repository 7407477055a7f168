"""What the demo's backups hold: made by real programs, read back by real programs."""

import gzip
import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import psycopg
import pytest

from opscheck.demo import cluster, history, tables
from opscheck.demo.dumps import as_if_made, configuration, dump
from opscheck.demo.kubernetes import secret
from opscheck.demo.postgres import PostgreSQL
from opscheck.transport.processes import ServerFailed

NOW = datetime(2025, 3, 1, 14, 30, 5, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(name="server", scope="module", params=[16, 18])
def _server(request) -> Iterator[PostgreSQL]:
    with PostgreSQL(request.param) as server:
        tables.create(server)
        tables.work(server, 50, until=NOW, over=DAY)
        yield server


def restored(server: PostgreSQL, archive: bytes, *options: str) -> str:
    """What pg_restore makes of it."""
    command = [server.programs / "bin" / "pg_restore", *options]
    return subprocess.run(
        command, input=archive, capture_output=True, check=True, timeout=60, env={"TZ": "UTC"}
    ).stdout.decode()


def test_dump_contains_all_tables(server):
    text = restored(server, dump(server), "--file=-")

    assert "COPY public.workflows " in text
    assert 250 == text.count("step done; step done; step done; step done; step done; \n")
    assert "-- PostgreSQL database dump complete" in text


def test_dump_works_without_a_free_ordinary_connection(server):
    server.fill_connections()
    try:
        assert dump(server).startswith(b"PGDMP")
    finally:
        server.release_connections()


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=2))])
def test_archive_with_another_creation_time_is_still_restorable(server, zone):
    archive = dump(server)
    at = datetime(2025, 2, 28, 2, 0, 7, tzinfo=UTC)

    older = as_if_made(archive, at.astimezone(zone))

    assert "; Archive created at 2025-02-28 02:00:07 UTC" in restored(server, older, "--list").splitlines()
    assert (
        restored(server, archive, "--data-only", "--file=-", "--no-comments").split("restrict")[0]
        == (restored(server, older, "--data-only", "--file=-", "--no-comments").split("restrict")[0])
    )


def test_archive_of_another_version_is_refused():
    with pytest.raises(ServerFailed, match="not an archive of pg_dump 16 or later"):
        as_if_made(b"PGDMP\x01\x0e\x00" + bytes(100), NOW)


def test_failed_dump_is_reported_without_the_password(server, monkeypatch):
    monkeypatch.setattr("opscheck.demo.dumps.DATABASE", "no_such_database")

    with pytest.raises(ServerFailed, match='database "no_such_database" does not exist') as told:
        dump(server)

    assert server._passwords["postgres"] not in str(told.value)


def files_of(archive: bytes) -> dict[str, dict]:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive))) as tar:
        assert {int(NOW.timestamp())} == {entry.mtime for entry in tar.getmembers()}
        return {entry.name: json.load(tar.extractfile(entry)) for entry in tar.getmembers()}


def test_configuration_contains_configured_objects_without_secrets():
    world = cluster.build(NOW)
    world.add(secret("database-password", cluster.NAMESPACE, password="aHVudGVyMg=="))

    archive = configuration(world, NOW)
    files = files_of(archive)

    assert "integration-deployment/deployments/integration-deployment.json" in files
    assert {"Deployment", "StatefulSet", "Service", "Ingress", "CronJob"} <= {one["kind"] for one in files.values()}
    assert not any("status" in one or one["kind"] == "Secret" for one in files.values())
    assert "aHVudGVyMg==" not in json.dumps(files)
    assert archive == configuration(world, NOW)


@pytest.fixture(name="week", scope="module")
def _week() -> Iterator[tuple[PostgreSQL, list]]:
    with PostgreSQL() as server:
        yield server, history.a_week(server, NOW)


def test_week_has_seven_growing_nights_and_half_hours_of_today(week):
    _, backups = week
    nights = [one for one in backups if (2, 0, 0) == (one.at.hour, one.at.minute, one.at.second)]
    today = [one for one in backups if NOW - one.at <= timedelta(hours=6)]

    assert [NOW.date() - day * DAY for day in range(6, -1, -1)] == [one.at.date() for one in nights]
    assert sorted({len(one.content) for one in nights}) == [len(one.content) for one in nights]
    assert [NOW - minutes * timedelta(minutes=30) for minutes in range(12, -1, -1)] == [one.at for one in today]
    assert sorted(one.at for one in backups) == [one.at for one in backups]


def test_last_night_before_two_o_clock_is_yesterdays():
    assert datetime(2025, 2, 28, 2, tzinfo=UTC) == history._nights(datetime(2025, 3, 1, 2, tzinfo=UTC))[-1]
    assert datetime(2025, 3, 1, 2, tzinfo=UTC) == history._nights(datetime(2025, 3, 1, 2, 0, 1, tzinfo=UTC))[-1]


def test_newest_row_is_as_new_as_the_newest_dump(week, tmp_path):
    server, backups = week
    (tmp_path / "newest.dump").write_bytes(backups[-1].content)
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE restored OWNER app")
    command = [server.programs / "bin" / "pg_restore", "--dbname", server.dsn("postgres", "restored")]

    subprocess.run([*command, tmp_path / "newest.dump"], check=True, timeout=60)

    with psycopg.connect(server.dsn("postgres", "restored")) as connection:
        newest, rows = connection.execute("SELECT max(updated_at), count(*) FROM workflows").fetchone()
        (executions,) = connection.execute("SELECT count(*) FROM executions").fetchone()
    assert NOW == newest
    assert 5 * rows == executions > 1000


def test_later_dump_has_more_rows_and_a_job_in_the_cluster(week):
    server, _ = week
    world = cluster.build(NOW)

    made = history.go_on(server, world, cluster.NAMESPACE)

    (resource,) = (one for one in world.resources if one.kind == "Job")
    jobs = [one["metadata"]["name"] for one in world.select(resource) if "database" in one["metadata"]["name"]]
    assert abs(datetime.now(UTC) - made.at) < timedelta(minutes=1)
    assert [f"database-backup-{int(made.at.timestamp()) // 60}"] == jobs
    with psycopg.connect(server.dsn("app")) as connection:
        assert (made.at,) == connection.execute("SELECT max(updated_at) FROM workflows").fetchone()


def test_dump_of_a_stopped_server_fails():
    with PostgreSQL() as server:
        server.stop()

        with pytest.raises(ServerFailed, match="PostgreSQL"):
            history.go_on(server, cluster.build(), cluster.NAMESPACE)
        with pytest.raises(ServerFailed, match="pg_dump ended with 1"):
            dump(server)
