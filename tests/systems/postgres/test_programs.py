"""Finding PostgreSQL's programs."""

import stat

import pytest

from opscheck.systems.postgres.programs import VARIABLE, installations


def program(folder, name, says):
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\necho '{says}'\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


@pytest.fixture(name="only")
def _only(tmp_path, monkeypatch):
    def look_in(*folders):
        monkeypatch.setenv(VARIABLE, ":".join(str(tmp_path / folder) for folder in folders))

    return look_in


def test_newest_installation_is_first_with_its_version(tmp_path, only):
    program(tmp_path / "old" / "bin", "pg_restore", "pg_restore (PostgreSQL) 9.6.24")
    program(tmp_path / "new", "pg_restore", "pg_restore (PostgreSQL) 18.1 (Debian 18.1-1.pgdg12+2)")
    program(tmp_path / "next", "pg_restore", "pg_restore (PostgreSQL) 19beta2")
    only("old", "new", "next")

    found = installations("pg_restore")

    assert ["19beta2", "18.1", "9.6.24"] == [one.version for one in found]
    assert [19, 18, 9] == [one.major for one in found]
    assert tmp_path / "old" / "bin" / "pg_restore" == found[-1].program("pg_restore")


def test_folder_without_all_programs_is_skipped(tmp_path, only):
    program(tmp_path / "clients", "pg_restore", "pg_restore (PostgreSQL) 18.1")
    program(tmp_path / "all", "pg_restore", "pg_restore (PostgreSQL) 16.2")
    program(tmp_path / "all", "initdb", "initdb (PostgreSQL) 16.2")
    only("clients", "all")

    assert [16] == [one.major for one in installations("pg_restore", "initdb")]


def test_foreign_program_is_skipped(tmp_path, only):
    program(tmp_path / "other", "pg_restore", "restored everything")
    program(tmp_path / "fails", "pg_restore", "pg_restore (PostgreSQL) 18.1'; exit 1; '")
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "pg_restore").write_text("not to be run")
    only("other", "fails", "plain", "gone")

    assert () == installations("pg_restore")


def test_duplicate_folder_counts_once(tmp_path, only):
    program(tmp_path / "one" / "bin", "pg_restore", "pg_restore (PostgreSQL) 18.1")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    only("one", "two", "one/bin")

    assert 1 == len(installations("pg_restore"))


def test_empty_variable_finds_nothing(monkeypatch):
    monkeypatch.setenv(VARIABLE, "")

    assert () == installations("pg_restore")


def test_installed_wheel_is_found(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)

    assert {16, 18} <= {one.major for one in installations("initdb", "postgres", "pg_dump", "pg_restore", "psql")}
