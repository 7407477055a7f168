"""Reading a run record back."""

import os

import msgspec
import pytest
import sample_runs as sample

from opscheck.core.exit_codes import UserError
from opscheck.core.record import encode
from opscheck.reports.read import ReportError, read_run


def test_a_record_is_read_back_as_it_was_written(tmp_path):
    path = tmp_path / "run.json"
    path.write_bytes(encode(sample.EVERYTHING))

    assert sample.EVERYTHING == read_run(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "run.json: not a run record: Input data was truncated; `opscheck run --json FILE` writes one"),
        (b"<testsuites/>", "run.json: not a run record: JSON is malformed"),
        (b"[]", "run.json: not a run record: Expected `object`, got `array`"),
        (b'{"schema": "\xff"}', "run.json: not a run record: "),
        (b"{}", "run.json: its `schema` is missing; this opscheck reads opscheck.run/v1"),
        (
            b'{"schema": "opscheck.run/v2"}',
            "run.json: its `schema` is opscheck.run/v2; this opscheck reads opscheck.run/v1",
        ),
        (
            b'{"schema": "opscheck.run/v1"}',
            "run.json: invalid opscheck.run/v1 document: Object missing required field `environment`",
        ),
    ],
)
def test_invalid_record_error_names_the_file(tmp_path, content, said):
    path = tmp_path / "run.json"
    path.write_bytes(content)

    with pytest.raises(ReportError) as raised:
        read_run(path)

    assert str(raised.value).startswith(f"{tmp_path}/{said}")
    assert isinstance(raised.value, UserError)


def test_wrong_type_error_has_its_place(tmp_path):
    path = tmp_path / "run.json"
    path.write_bytes(encode(sample.ALL_WELL).replace(b'"passed"', b'"fine"'))

    with pytest.raises(ReportError, match=r"Invalid enum value 'fine' - at `\$\.results\[0\]\.verdict`"):
        read_run(path)


def test_unreadable_files_are_reported(tmp_path):
    closed = tmp_path / "closed.json"
    closed.touch(mode=0o000)

    with pytest.raises(ReportError, match="no such file"):
        read_run(tmp_path / "none.json")
    with pytest.raises(ReportError, match="is a directory; name the run record in it"):
        read_run(tmp_path)
    if os.geteuid():  # nothing is closed to root
        with pytest.raises(ReportError, match="cannot be read: Permission denied"):
            read_run(closed)


def test_record_with_missing_results_is_rejected(tmp_path):
    path = tmp_path / "run.json"
    path.write_bytes(encode(msgspec.structs.replace(sample.ALL_WELL, results=())))

    with pytest.raises(ReportError, match="holds 0 results and counts"):
        read_run(path)
