"""What hosts answer where pgBackRest and Barman are asked: words of several versions, and all that is no answer."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from opscheck import HostTarget, Query
from opscheck.core.observation import ProbeError, Problem, ProblemKind
from opscheck.systems.backup.tools import ReadBarman, ReadPgbackrest
from opscheck.systems.host.probe import open_session
from tests.registries import answer

BEGAN = 1_772_300_000
BACKUP = {
    "label": "20260228-173320F",
    "type": "full",
    "timestamp": {"start": BEGAN, "stop": BEGAN + 60},
    "archive": {"start": "000000010000000000000002", "stop": "000000010000000000000003"},
    "database": {"id": 1, "repo-key": 1},
    "error": False,
    "reference": None,
}
WELL = {"code": 0, "message": "ok", "lock": {"backup": {"held": False}}}
STANZA = {
    "name": "main",
    "status": WELL,
    "backup": [BACKUP],
    "archive": [{"database": {"id": 1, "repo-key": 1}, "id": "15-1", "max": "000000010000000000000004", "min": "0"}],
    "repo": [{"cipher": "none", "key": 1, "status": {"code": 0, "message": "ok"}}],
}

Program = Callable[[str], tuple[str, ...]]


@pytest.fixture(name="program")
def _program(tmp_path: Path) -> Program:
    """Makes a program of a shell script; its words are what `command` would be."""

    def make(script: str) -> tuple[str, ...]:
        place = tmp_path / "tool"
        place.write_text(f"#!/bin/sh\n{script}\n")
        place.chmod(0o755)
        return (str(place),)

    return make


@pytest.fixture(name="says")
def _says(program: Program, tmp_path: Path) -> Callable[..., tuple[str, ...]]:
    """Makes a program that prints this."""

    def make(answer: Any) -> tuple[str, ...]:
        (tmp_path / "answer").write_text(answer if isinstance(answer, str) else json.dumps(answer))
        return program(f"cat {tmp_path}/answer")

    return make


def asked(query: Query[Any], timeout_s: float = 10) -> Any:
    return answer(open_session(HostTarget(kind="host", uri="local://"), 10), query, timeout_s)


def pgbackrest(command: tuple[str, ...], timeout_s: float = 10) -> Any:
    return asked(ReadPgbackrest("host", command=command), timeout_s)


def barman(command: tuple[str, ...], timeout_s: float = 10, **fields: Any) -> Any:
    return asked(ReadBarman("host", command=command, **fields), timeout_s)


def problem(call: Callable[[], object]) -> Problem:
    with pytest.raises(ProbeError) as raised:
        call()
    return raised.value.problem


# -- pgBackRest ------------------------------------------------------------------------------------------------------


def test_a_stanza_is_read_with_the_hosts_own_clock(says):
    before = datetime.now(UTC)
    info = pgbackrest(says([STANZA]))

    assert -1 < (info.taken_at - before).total_seconds() < 10
    (stanza,) = info.stanzas
    (repository,) = stanza.repositories
    (backup,) = repository.backups
    assert ("main", 0, False, 1) == (stanza.name, stanza.code, stanza.running, repository.number)
    assert datetime.fromtimestamp(BEGAN, UTC) == backup.began_at
    assert ((), "000000010000000000000003", False) == (backup.needs, backup.wal_until, backup.damaged)
    assert ["000000010000000000000004"] == [one.newest for one in repository.archives]


def test_each_backup_is_of_its_repository(says):
    second = {**BACKUP, "label": "20260228-183320F", "database": {"id": 1, "repo-key": 2}}
    repositories = [*STANZA["repo"], {"key": 2, "status": {"code": 2, "message": "no valid backups"}}]
    (stanza,) = pgbackrest(says([{**STANZA, "backup": [second, BACKUP], "repo": repositories}])).stanzas

    assert [["20260228-173320F"], ["20260228-183320F"]] == [
        [backup.label for backup in repository.backups] for repository in stanza.repositories
    ]


def test_before_there_were_several_repositories_the_stanza_tells(says):
    old = {name: value for name, value in STANZA.items() if name != "repo"}
    del (backup := dict(BACKUP))["database"]
    (stanza,) = pgbackrest(says([{**old, "backup": [backup], "status": {"code": 2, "message": "none"}}])).stanzas

    assert [(1, 2, 1)] == [(one.number, one.code, len(one.backups)) for one in stanza.repositories]


def test_a_backup_that_runs_and_one_that_is_damaged_are_reported(says):
    held = {**WELL, "lock": {"backup": {"held": True, "size": 9, "size-cplt": 3}, "restore": {"held": False}}}
    (stanza,) = pgbackrest(says([{**STANZA, "status": held, "backup": [{**BACKUP, "error": True}]}])).stanzas

    assert stanza.running
    assert stanza.repositories[0].backups[0].damaged


def test_nothing_that_writes_or_logs_is_asked(program, tmp_path):
    command = program(f'echo "$@" >> {tmp_path}/asked; echo "[]"')
    pgbackrest(command)

    (words,) = (tmp_path / "asked").read_text().splitlines()
    assert words.startswith("info --output=json ")
    assert "--log-level-file=off" in words
    assert "check" not in words


def test_options_of_the_policys_command_come_first(program, tmp_path):
    command = program(f'echo "$@" >> {tmp_path}/asked; echo "[]"')
    pgbackrest((*command, "--config=/etc/a b.conf", "$(touch injected)"))

    assert (tmp_path / "asked").read_text().startswith("--config=/etc/a b.conf $(touch injected) info ")
    assert not Path("injected").exists()


def test_a_time_beyond_all_time_is_not_a_answer(says):
    beyond = {**BACKUP, "timestamp": {"start": 99_999_999_999_999_999, "stop": 1}}

    assert "is not a time" in problem(lambda: pgbackrest(says([{**STANZA, "backup": [beyond]}]))).text


# -- Barman ----------------------------------------------------------------------------------------------------------

_BARMAN = """
shift 2
case "$1 $2 $3" in
"list-backup all ") cat {place}/list;;
"show-backup main "*) cat {place}/show-$3;;
*) echo '{{"_ERROR": ["unexpected"]}}'; exit 1;;
esac
echo "$@" >> {place}/asked
"""


def done(name: str, ended: int, **fields: Any) -> dict[str, Any]:
    return {"backup_id": name, "status": "DONE", "end_time_timestamp": str(ended), **fields}


def shown(name: str, began: int | None) -> dict[str, Any]:
    information = {} if began is None else {"begin_time_timestamp": str(began), "begin_time": "whatever"}
    return {"main": {"backup_id": name, "status": "DONE", "base_backup_information": information}}


@pytest.fixture(name="listing")
def _listing(program: Program, tmp_path: Path) -> Callable[..., tuple[str, ...]]:
    def make(listed: Any, *shows: dict[str, Any]) -> tuple[str, ...]:
        (tmp_path / "list").write_text(json.dumps(listed))
        for show in shows:
            (tmp_path / f"show-{show['main']['backup_id']}").write_text(json.dumps(show))
        return program(_BARMAN.format(place=tmp_path))

    return make


def test_only_the_newest_is_asked_when_it_began_any_the_order(listing, tmp_path):
    backups = [done("b", BEGAN + 200), done("c", BEGAN + 300), done("a", BEGAN), {"backup_id": "d", "status": "FAILED"}]
    (server,) = barman(listing({"main": backups}, shown("c", BEGAN + 250))).servers

    assert {"c": BEGAN + 250} == {one.id: one.began_at.timestamp() for one in server.backups if one.began_at}
    assert ["list-backup all", "show-backup main c"] == (tmp_path / "asked").read_text().splitlines()


def test_the_newest_full_one_is_asked_next_to_an_incremental(listing):
    backups = [done("a", BEGAN, backup_type="full"), done("b", BEGAN + 9, backup_type="incremental")]
    (server,) = barman(listing({"main": backups}, shown("a", BEGAN - 5), shown("b", BEGAN + 5))).servers

    assert [BEGAN - 5, BEGAN + 5] == [one.began_at.timestamp() for one in server.backups]


def test_servers_that_are_not_named_are_not_asked_about(listing):
    listed = {"main": [done("a", BEGAN)], "other": [done("x", BEGAN)]}

    assert ["main"] == [one.name for one in barman(listing(listed, shown("a", BEGAN)), servers=("main",)).servers]


def test_version_that_does_not_say_when_it_began_is_taken_at_its_word(listing):
    (server,) = barman(listing({"main": [done("a", BEGAN)]}, shown("a", None))).servers

    assert [None] == [one.began_at for one in server.backups]


def test_an_error_that_barman_tells_in_json_is_not_a_server(says):
    told = problem(lambda: barman(says({"_ERROR": ["Configuration error"], "main": []})))

    assert ProblemKind.UNREADABLE == told.kind
    assert "Configuration error" in told.text


def test_many_servers_share_the_time_that_there_is(program, tmp_path):
    listed = {f"server-{number}": [done("a", BEGAN)] for number in range(60)}
    (tmp_path / "list").write_text(json.dumps(listed))
    slow = f'shift 2; if [ "$1" = list-backup ]; then cat {tmp_path}/list; else sleep 0.4; echo "{{}}"; fi'
    began = time.monotonic()
    told = problem(lambda: barman(program(slow), 3))

    assert ProblemKind.LATE == told.kind
    assert time.monotonic() - began < 5


# -- What is no answer -----------------------------------------------------------------------------------------------

NO_ANSWER = {
    "half of one": ('printf \'[{"name": "main", "status": \'', ProblemKind.UNREADABLE, "answered what it never does"),
    "HTML": ("echo '<html>sign in</html>'", ProblemKind.UNREADABLE, "it starts with '<html>"),
    "nothing": ("exit 0", ProblemKind.UNREADABLE, "answered what it never does"),
    "another shape": ("echo '[1, 2]'", ProblemKind.UNREADABLE, "answered what it never does"),
    "no UTF-8": (r"printf '[\"\377\"]'", ProblemKind.UNREADABLE, "answered what it never does"),
    "an error": (
        "echo 'ERROR: [055]: unable to load info' >&2; exit 55",
        ProblemKind.UNREADABLE,
        "ended with 55",
    ),
    "no permission": ("echo 'ERROR: [041]: open: [13] Permission denied' >&2; exit 41", ProblemKind.DENIED, "denied"),
    "no sudo": ("echo 'sudo: a password is required' >&2; exit 1", ProblemKind.DENIED, "sudo wants a password there"),
    "far too much": ("yes '[]' | head -c 3000000", ProblemKind.UNREADABLE, "unexpected output"),
}


@pytest.mark.parametrize("name", NO_ANSWER)
@pytest.mark.parametrize("ask", [pgbackrest, barman])
def test_invalid_output_is_a_problem_with_its_reason(program, name, ask):
    script, kind, text = NO_ANSWER[name]
    told = problem(lambda: ask(program(script)))

    assert kind is told.kind
    assert text in told.text


@pytest.mark.parametrize("script", ["sleep 60", "while true; do printf '['; sleep 1; done", "trap '' TERM; sleep 60"])
@pytest.mark.parametrize("ask", [pgbackrest, barman])
def test_one_that_does_not_end_is_ended_in_time(program, script, ask):
    began = time.monotonic()
    told = problem(lambda: ask(program(script), 2))

    assert ProblemKind.LATE == told.kind
    assert time.monotonic() - began < 3


def test_secrets_in_what_it_complains_of_are_masked(program):
    told = problem(lambda: pgbackrest(program("echo 'ERROR: host=db password=geheim refused' >&2; exit 56")))

    assert "geheim" not in told.text
