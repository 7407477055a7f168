"""Which errors of psql and pg_restore end a drill, and how much of them is told."""

import pytest

from opscheck.core.observation import ProbeError
from opscheck.systems.recovery.drill_record import BROKEN, NEWER, REFUSED
from opscheck.systems.recovery.probe.drilling.errors import Failed
from opscheck.systems.recovery.probe.drilling.restore_errors import RestoreErrors

SECRET = "geheim-4711"
QUERY = "pg_restore: error: could not execute query: ERROR:  "
COPY = 'pg_restore: error: COPY failed for table "orders": ERROR:  '


def heard(*lines):
    errors = RestoreErrors()
    for line in lines:
        errors.read_line(line)
    return errors


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ('psql:<stdin>:8: ERROR:  42704: role "app" does not exist', "role app"),
        ('psql:<stdin>:8: ERROR:  42501: must be able to SET ROLE "postgres"', "role postgres"),
        ('pg_restore: error: could not execute query: ERROR:  role "app" does not exist', "role app"),
        ('psql:<stdin>:8: ERROR:  0A000: extension "pg_trgm" is not available', "extension pg_trgm"),
        (f'{QUERY}could not open extension control file "/x/citext.control"', "extension citext"),
        (f'{QUERY}collation "de_DE.utf8" for encoding "UTF8" does not exist', "collation de_DE.utf8"),
        ('psql:<stdin>:8: ERROR:  42704: tablespace "fast" does not exist', "tablespace fast"),
        (f'{QUERY}unrecognized configuration parameter "transaction_timeout"', "setting transaction_timeout"),
        ('psql:<stdin>:3: ERROR:  42501: permission denied to create event trigger "e"', "event trigger e"),
        ("psql:<stdin>:3: ERROR:  42501: permission denied to create subscription", "subscriptions"),
    ],
)
def test_missing_feature_of_the_scratch_server_ends_nothing(line, missing):
    errors = heard(line)

    assert (None, [missing]) == (errors.ending, list(errors.missing))


@pytest.mark.parametrize(
    ("line", "trouble", "told"),
    [
        (
            f'psql:<stdin>:13: ERROR:  22P02: invalid input syntax for type integer: "{SECRET}"',
            REFUSED,
            "invalid input syntax for type integer (SQLSTATE 22P02)",
        ),
        (
            f"psql:<stdin>:13: ERROR:  P0001: {SECRET} is no customer",
            REFUSED,
            "the server answers RaiseException (SQLSTATE P0001)",
        ),
        (
            f'psql:<stdin>:13: ERROR:  42601: syntax error at or near "{SECRET}"',
            REFUSED,
            "the server answers SyntaxError (SQLSTATE 42601)",
        ),
        (
            f'{COPY}invalid input syntax for type date: "{SECRET}"',
            REFUSED,
            'COPY failed for table "orders": invalid input syntax for type date',
        ),
        (
            f"pg_restore: error: could not execute query: ERROR:  value {SECRET} is odd",
            REFUSED,
            "the server refuses a statement; its message may quote a row, and is not shown",
        ),
        (
            'pg_restore: error: could not execute query: ERROR:  relation "public.gone" does not exist',
            REFUSED,
            'relation "public.gone" does not exist',
        ),
        ("pg_restore: error: could not read from input file: end of file", BROKEN, "end of file"),
        (f"pg_restore: error: {SECRET} is odd", BROKEN, "pg_restore: it cannot read the archive"),
        ("pg_restore: error: unsupported version (1.17) in file header", NEWER, "its archive format 1.17 is unknown"),
    ],
)
def test_error_that_ends_a_drill_is_reported_without_a_row(line, trouble, told):
    ending = heard(line).ending

    assert isinstance(ending, Failed)
    assert trouble == ending.trouble
    assert told in ending.text
    assert SECRET not in ending.text


@pytest.mark.parametrize(
    "line",
    [
        r"psql:<stdin>:2: error: backslash commands are restricted; only \unrestrict is allowed",
        r"psql:<stdin>:2: error: \unrestrict: wrong key",
        'pg_restore: error: could not execute query: ERROR:  could not extend file "base/1/2": No space left on device',
        "psql:<stdin>:2: ERROR:  53100: could not extend file",
        "pg_restore: error: this build does not support compression with zstd",
    ],
)
def test_error_unrelated_to_the_backup_is_unknown(line):
    assert isinstance(heard(line).ending, ProbeError)


@pytest.mark.parametrize(
    "line",
    [
        f"psql:<stdin>:13: FEHLER:  22P02: ungültige Eingabesyntax für Typ integer: »{SECRET}«",
        f"{QUERY.replace('ERROR', 'FEHLER')}Rolle »{SECRET}« existiert nicht",
        f"{COPY.replace('ERROR', '错误')}{SECRET}",
    ],
)
def test_server_that_speaks_another_language_is_heard_and_not_understood(line):
    ending = heard(line).ending

    assert isinstance(ending, ProbeError)
    assert ("lc_messages" in ending.problem.advice, SECRET in str(ending.problem)) == (True, False)


@pytest.mark.parametrize("line", ["psql:<stdin>:2: HINWEIS:  00000: so", "psql:<stdin>:2: WARNUNG:  01000: so"])
def test_message_that_is_not_an_error_ends_nothing(line):
    assert heard(line).ending is None


@pytest.mark.parametrize(
    "lines",
    [
        (f'{COPY}role "{SECRET}" does not exist',),
        (f'psql:<stdin>:9: ERROR:  42704: role "{SECRET}" does not exist', f"CONTEXT:  COPY orders, line 1: {SECRET}"),
        (f'{QUERY}role "{SECRET}" does not exist', "LINE 1: INSERT INTO orders VALUES ('x');"),
    ],
)
def test_rows_that_name_what_is_missing_are_not_left_out(lines):
    errors = heard(*lines)

    assert isinstance(errors.ending, ProbeError)
    assert "rows name a role or a collation that the scratch server lacks" in errors.ending.problem.text
    assert [] == list(errors.missing)
    assert SECRET not in str(errors.ending.problem)


def test_the_first_that_matters_is_reported():
    lines = [
        "pg_restore: while PROCESSING TOC:",
        'pg_restore: error: could not execute query: ERROR:  role "app" does not exist',
        "Command was: ALTER TABLE x OWNER TO app;",
        'pg_restore: error: could not execute query: ERROR:  relation "a" already exists',
        'pg_restore: error: could not execute query: ERROR:  relation "b" already exists',
        "pg_restore: warning: errors ignored on restore: 3",
    ]
    ending = heard(*lines).ending

    assert 'relation "a" already exists' == ending.text


def test_line_into_which_another_worker_writes_is_read():
    ending = heard("pg_restore:pg_restore: error: could not read from input file: end of file").ending

    assert "pg_restore: could not read from input file: end of file" == ending.text
