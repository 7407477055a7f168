"""The state file gives back what earlier runs were answered, or says why it cannot."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from opscheck.core.observation import Observation, Sample
from opscheck.core.query import Query
from opscheck.core.redaction import Secrets
from opscheck.gathering import state_store as memory_module
from opscheck.gathering.state_store import APPLICATION_ID, SCHEMA_VERSION, Memory, StateError
from opscheck.systems.http.target import HttpTarget

# What is older than 40 days by the clock goes away, so that these are not of a fixed date.
NOW = datetime.now(UTC).replace(microsecond=123456)
MINUTE = timedelta(minutes=1)


class Depth(msgspec.Struct, frozen=True):
    """How deep it is, by place."""

    depths: dict[int, str]
    epoch: str = ""


@dataclass(frozen=True)
class AskDepth(Query[Depth], name="cistern.depth", remembered=True):
    """Asks how deep it is."""

    place: str = ""


@dataclass(frozen=True)
class AskRestedDepth(AskDepth, name="cistern.rested_depth"):
    """Asks how deep it is after a long rest, which is seldom."""

    answer = Depth
    kept_whole_for = timedelta(days=400)


ASKED = AskDepth(target="well", place="yard")
RESTED = AskRestedDepth(target="well")


def well(url: str = "https://well.example.com") -> dict[str, HttpTarget]:
    return {"well": HttpTarget(kind="http", base_url=url).named("well")}


def memory_of(path: Path, environment: str = "test", url: str = "https://well.example.com", **secrets: str) -> Memory:
    known = Secrets()
    for name, value in secrets.items():
        known.add(value, f"${{{name}}}")
    return Memory(path, environment, well(url), known)


def observed(text: str = "7 m", at: datetime = NOW) -> Observation:
    return Observation(taken_at=at, duration_s=0.1, answer=Depth({1: text}))


def keep(memory: Memory, *observations: Observation, query: AskDepth = ASKED) -> None:
    memory.keep([memory.note(query, observation) for observation in observations])


def earlier(memory: Memory, at: datetime = NOW, query: AskDepth = ASKED) -> list[str]:
    """What was kept, oldest first, as a run at this time sees it."""
    return [sample.answer.depths[1] for sample in recalled(memory, at, query).earlier]


def recalled(memory: Memory, at: datetime = NOW, query: AskDepth = ASKED) -> Observation:
    return memory.recall({query: observed(at=at)})[query]


def in_file(path: Path, *statements: str) -> list[tuple]:
    """What these statements give, in the file itself."""
    with closing(sqlite3.connect(path)) as connection, connection:
        return [row for statement in statements for row in connection.execute(statement).fetchall()]


@pytest.fixture(name="path")
def _path(tmp_path) -> Path:
    return tmp_path / "state.db"


# -- what it gives back ----------------------------------------------------------------------------------------------


def test_an_earlier_answer_comes_back_as_it_was(path):
    keep(memory_of(path), observed("6 m", NOW - MINUTE))

    (sample,) = recalled(memory_of(path)).earlier

    assert Sample(taken_at=NOW - MINUTE, answer=Depth({1: "6 m"})) == sample


def test_samples_come_oldest_first(path):
    keep(memory_of(path), observed("5 m", NOW - 2 * MINUTE))
    keep(memory_of(path), observed("6 m", NOW - MINUTE))

    assert ["5 m", "6 m"] == earlier(memory_of(path))


def test_missing_state_file_is_empty_and_not_created(path):
    found = recalled(memory_of(path))

    assert ((), "") == (found.earlier, found.forgotten)
    assert not path.exists()


def test_empty_file_is_a_new_state_file(path):
    path.touch()

    assert [] == earlier(memory_of(path))
    keep(memory_of(path), observed("6 m", NOW - MINUTE))
    assert ["6 m"] == earlier(memory_of(path))


def test_whole_samples_are_not_thinned_or_expired_after_40_days(path):
    ages = (399, 300, *range(99, 0, -1))
    for days in ages:
        keep(memory_of(path), observed(f"{days} m", NOW - timedelta(days=days)), query=RESTED)
        keep(memory_of(path), observed(f"{days} m", NOW - timedelta(days=days)))

    assert [f"{days} m" for days in ages] == earlier(memory_of(path), query=RESTED)
    assert len(earlier(memory_of(path))) < 20


def test_whole_samples_expire_too(path):
    keep(memory_of(path), observed("9 m", NOW - timedelta(days=401)), query=RESTED)

    keep(memory_of(path), observed("6 m", NOW - MINUTE))

    assert [] == earlier(memory_of(path), query=RESTED)
    assert [] == in_file(path, "SELECT * FROM keeping")


def test_file_without_whole_samples_still_works(path):
    keep(memory_of(path), observed("6 m", NOW - MINUTE))
    in_file(path, "DROP TABLE keeping")

    assert ["6 m"] == earlier(memory_of(path))
    keep(memory_of(path), observed("7 m", NOW - timedelta(days=50)), query=RESTED)
    assert ["7 m"] == earlier(memory_of(path), query=RESTED)


def test_samples_of_the_future_are_ignored(path):
    keep(memory_of(path), observed("9 m", NOW + timedelta(days=3)))
    keep(memory_of(path), observed("6 m", NOW - MINUTE))

    assert ["6 m"] == earlier(memory_of(path))


@pytest.mark.parametrize(
    ("memory", "query"),
    [
        ({"environment": "other"}, ASKED),
        ({"url": "https://other.example.com"}, ASKED),
        ({}, AskDepth(target="well", place="field")),
    ],
    ids=["environment", "address", "query"],
)
def test_samples_are_kept_apart_by(path, memory, query):
    keep(memory_of(path), observed("6 m", NOW - MINUTE))

    assert [] == earlier(memory_of(path, **memory), query=query)


def test_new_password_is_not_a_new_target(path):
    keep(memory_of(path, url="https://user:old-password@well.example.com"), observed("6 m", NOW - MINUTE))

    assert ["6 m"] == earlier(memory_of(path, url="https://user:new-password@well.example.com"))


def test_samples_of_removed_queries_expire_after_40_days(path):
    keep(memory_of(path), observed("1 m", NOW - timedelta(days=41)))

    assert [(0, 0)] == in_file(path, "SELECT (SELECT count(*) FROM samples), (SELECT count(*) FROM series)")


def test_many_runs_leave_few_samples(path):
    memory = memory_of(path)
    for age in range(300, 0, -1):
        keep(memory, observed(f"{age} m", NOW - age * MINUTE))

    left = earlier(memory)

    assert 6 <= len(left) <= 15
    assert "1 m" == left[-1]


# -- what stands in it -----------------------------------------------------------------------------------------------


def test_state_file_is_readable_by_its_owner_only(path):
    keep(memory_of(path), observed())

    assert 0o600 == path.stat().st_mode & 0o777


def test_output_contains_no_secret(path):
    query = AskDepth(target="well", place="behind hunter2-gate")
    secret = {"GATE": "hunter2-gate", "HOST": "hidden.example.com"}
    memory = memory_of(path, environment="hunter2-gate", url="https://hidden.example.com", **secret)
    note = memory.note(query, observed("at hunter2-gate"))

    memory.keep([note])

    for secret in (b"hunter2-gate", b"hidden.example.com"):
        assert secret not in path.read_bytes()
        assert secret not in msgspec.json.encode([note.environment, note.target, note.query])
    assert ["at ${GATE}"] == earlier(memory_of(path, "hunter2-gate", "https://hidden.example.com"), NOW + MINUTE, query)


def test_name_from_the_environment_is_stable_between_runs(path):
    keep(memory_of(path, DB_NAME="orders"), observed("table of orders", NOW - MINUTE))

    assert ["table of orders"] == earlier(memory_of(path, DB_NAME="orders"))


def test_rows_are_readable_for_a_person(path):
    keep(memory_of(path), observed())

    assert [("test", "well (http): https://well.example.com", "cistern.depth(place='yard')")] == in_file(
        path, "SELECT environment, target, query FROM series"
    )


def test_state_file_shrinks_after_expiry(path):
    memory = memory_of(path)
    memory.keep([memory.note(ASKED, observed(os.urandom(2**19).hex(), NOW - timedelta(days=39)))])
    large = path.stat().st_size
    in_file(path, "UPDATE samples SET taken_at = taken_at - 5 * 86400 * 1000000")

    keep(memory, observed())

    assert path.stat().st_size < large / 4


# -- what is wrong with it -------------------------------------------------------------------------------------------


def trouble(memory: Memory) -> tuple[str, str]:
    """Why it cannot be read, and why it cannot be written."""
    with pytest.raises(StateError) as reading:
        memory.recall({ASKED: observed()})
    with pytest.raises(StateError) as writing:
        keep(memory, observed())
    return str(reading.value), str(writing.value)


def test_file_of_another_kind_is_not_touched(path):
    path.write_text("this is a diary\n" * 100)

    reading, writing = trouble(memory_of(path))

    reason = "file is not a database; move it away; the next run creates a new one"
    assert f"the state file {path} cannot be read: {reason}" == reading
    assert f"the state file {path} cannot be written: {reason}" == writing
    assert "this is a diary\n" * 100 == path.read_text()


def test_database_of_another_program_is_not_touched(path):
    in_file(path, "CREATE TABLE diary (day TEXT)", "INSERT INTO diary VALUES ('Monday')")

    for text in trouble(memory_of(path)):
        assert "a database of another program; name another file" in text
    assert [("diary",)] == in_file(path, "SELECT name FROM sqlite_master")


def test_newer_schema_is_rejected(path):
    keep(memory_of(path), observed("6 m", NOW - MINUTE))
    in_file(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")

    for text in trouble(memory_of(path)):
        assert f"it was written by another version of opscheck (schema {SCHEMA_VERSION + 1}, this one knows" in text
    assert [(1,)] == in_file(path, "SELECT count(*) FROM samples")


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9])
def test_truncated_file_is_reported(path, share):
    memory = memory_of(path)
    for age in range(8, 0, -1):
        keep(memory, observed(os.urandom(2**15).hex(), NOW - age * 4 * MINUTE))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])

    for text in trouble(memory):
        assert "move it away; the next run creates a new one" in text


def test_missing_tables_are_reported(path):
    in_file(path, f"PRAGMA application_id = {APPLICATION_ID}", f"PRAGMA user_version = {SCHEMA_VERSION}")

    for text in trouble(memory_of(path)):
        assert "no such table" in text


def test_samples_of_another_version_are_reported(path):
    keep(memory_of(path), observed("6 m", NOW - MINUTE))
    in_file(path, "UPDATE samples SET answer = x'00'")

    found = recalled(memory_of(path))

    assert () == found.earlier
    assert found.forgotten.startswith(f"the samples of cistern.depth in the state file {path} cannot be read")


def test_unreadable_sample_keeps_the_others(path):
    keep(memory_of(path), observed("5 m", NOW - 2 * MINUTE))
    keep(memory_of(path), observed("6 m", NOW - MINUTE))
    in_file(path, "UPDATE samples SET answer = 'text' WHERE taken_at = (SELECT min(taken_at) FROM samples)")

    assert ["6 m"] == earlier(memory_of(path))


@pytest.mark.parametrize(
    ("place", "reading", "writing"),
    [
        ("", "not a regular file", "Is a directory"),
        ("a-file/state.db", "Not a directory", "its folder is a file"),
    ],
    ids=["a-folder", "below-a-file"],
)
def test_impossible_path_is_an_error(tmp_path, place, reading, writing):
    (tmp_path / "a-file").touch()

    read, written = trouble(memory_of(tmp_path / place))

    assert read.endswith(f"cannot be read: {reading}")
    assert written.endswith(f"cannot be written: {writing}")


def test_device_is_not_a_state_file():
    for text in trouble(memory_of(Path("/dev/full"))):
        assert text.endswith("not a regular file")


# -- several processes, and their ends -------------------------------------------------------------------------------

WRITER = """
import os, resource, signal, sys, time
from datetime import timedelta
from pathlib import Path
sys.path.insert(0, {folder!r})
from test_state_store import ASKED, NOW, AskDepth, keep, memory_of, memory_module, observed
memory = memory_of(Path(sys.argv[1]))
"""

FOR_EVER = """
place = 0
while True:
    place += 1
    keep(memory, observed(os.urandom(2**16).hex(), NOW - timedelta(days=30) + timedelta(minutes=place)))
    print(place, flush=True)
"""

STUCK_IN_MID_WRITE = """
def stuck(connection):
    print("in mid-write", flush=True)
    time.sleep(600)
memory_module._drop_old = stuck
# More than SQLite holds in memory: a part of it stands in the file already.
memory.keep([memory.note(ASKED, observed(os.urandom(2**23).hex(), NOW - timedelta(hours=1)))])
"""

TWENTY = """
for place in range(20):
    keep(memory, observed(sys.argv[2]), query=AskDepth(target="well", place=f"{sys.argv[2]} {place}"))
"""

NO_ROOM = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))
try:
    keep(memory, observed(os.urandom(2**18).hex()))
except memory_module.StateError as error:
    print(error)
"""


@pytest.fixture(name="start")
def _start():
    """Starts a process that writes to a state file; it is gone at the end of the test."""
    started = []

    def start(script: str, *arguments: object) -> subprocess.Popen[str]:
        program = WRITER.format(folder=str(Path(__file__).parent)) + script
        words = [sys.executable, "-c", program, *map(str, arguments)]
        started.append(subprocess.Popen(words, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait(timeout=10)
        process.stdout.close()


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=10)


@pytest.mark.parametrize("writes", [1, 2, 5, 17])
def test_run_killed_while_writing_corrupts_nothing(path, start, writes):
    process = start(FOR_EVER, path)
    for _ in range(writes):
        assert process.stdout.readline()
    kill(process)

    assert len(earlier(memory_of(path))) >= min(writes, 2)
    keep(memory_of(path), observed("6 m", NOW - MINUTE))
    assert "6 m" == earlier(memory_of(path))[-1]
    assert [("ok",)] == in_file(path, "PRAGMA integrity_check")


def test_transaction_of_a_killed_run_is_rolled_back(path, start):
    keep(memory_of(path), observed("5 m", NOW - 2 * MINUTE))
    process = start(STUCK_IN_MID_WRITE, path)
    assert "in mid-write\n" == process.stdout.readline()
    kill(process)
    assert path.with_name("state.db-journal").stat().st_size

    assert ["5 m"] == earlier(memory_of(path))
    assert path.stat().st_size < 2**16


def test_locked_file_is_waited_for_until_the_timeout(path, start, monkeypatch):
    keep(memory_of(path), observed("5 m", NOW - 2 * MINUTE))
    process = start(STUCK_IN_MID_WRITE, path)
    assert "in mid-write\n" == process.stdout.readline()
    monkeypatch.setattr(memory_module, "_BUSY_S", 0.1)

    for text in trouble(memory_of(path)):
        assert text.endswith("locked by another run for 0.1s")


def test_two_runs_at_once_take_turns(path, start):
    one, other = start(TWENTY, path, "one"), start(TWENTY, path, "other")

    assert (0, 0) == (one.wait(timeout=60), other.wait(timeout=60))
    later = datetime.now(UTC) + MINUTE  # than they began, which may be long after this module was imported
    for name in ("one", "other"):
        for place in range(20):
            query = AskDepth(target="well", place=f"{name} {place}")
            assert [name] == earlier(memory_of(path), later, query)


def test_full_disk_is_reported_and_keeps_old_samples(path, start):
    keep(memory_of(path), observed("5 m", NOW - 2 * MINUTE))

    told = start(NO_ROOM, path).communicate(timeout=60)[0]

    assert f"the state file {path} cannot be written: " in told
    assert ["5 m"] == earlier(memory_of(path))
