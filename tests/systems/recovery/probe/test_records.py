"""The record of a drill is read as what it is, or the reason is told."""

import json
import os

import pytest

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.recovery.drill_record import DRILL_SCHEMA, LastDrill
from opscheck.systems.recovery.probe.records import open_session
from opscheck.systems.recovery.target import DrillRecords

RECORD = {
    "schema": DRILL_SCHEMA,
    "passed": True,
    "drill": "restore",
    "key": "db.dump",
    "began_at": "2026-03-01T12:00:00Z",
}
QUERY = LastDrill("records", "restore")


def ask(path):
    return open_session(DrillRecords(name="records", record=None if path is None else str(path)), 5.0).ask(QUERY, 5.0)


def test_a_record_is_the_drill_that_it_tells(tmp_path):
    path = tmp_path / "drill.json"
    path.write_text(json.dumps(RECORD))

    assert ("restore", "db.dump", True) == (ask(path).drill, ask(path).key, ask(path).passed)


def test_no_record_is_an_answer(tmp_path):
    assert ask(tmp_path / "none.json") is None
    assert ask(None) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"schema": "opscheck.drill/v9"}',
        json.dumps(RECORD).encode()[:-9],
        json.dumps({**RECORD, "began_at": "yesterday"}).encode(),
        b" " * 5_000_000,
    ],
)
def test_invalid_record_is_reported_with_advice(tmp_path, content):
    path = tmp_path / "drill.json"
    path.write_bytes(content)

    with pytest.raises(ProbeError) as told:
        ask(path)
    assert (ProblemKind.UNREADABLE, True) == (told.value.problem.kind, "move it away" in told.value.problem.advice)


def test_the_record_of_another_drill_is_not_taken_for_this_one(tmp_path):
    path = tmp_path / "drill.json"
    path.write_text(json.dumps({**RECORD, "drill": "other"}))

    with pytest.raises(ProbeError, match="the record of other, and not of restore"):
        ask(path)


def test_a_pipe_in_the_place_of_a_record_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "drill.json")

    with pytest.raises(ProbeError, match="not a file"):
        ask(tmp_path / "drill.json")
