"""The policy's assertions on the restored database, and the verification of its tables and indexes."""

import math
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg
from pydantic import SecretStr

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.postgres.probe import open_session
from opscheck.systems.postgres.probe.libpq import connect
from opscheck.systems.postgres.probe.session import PostgresSession
from opscheck.systems.postgres.query import Select, Selected
from opscheck.systems.postgres.target import PostgresTarget
from opscheck.systems.recovery.drill_record import Asserted, Assertion
from opscheck.systems.recovery.probe.drilling.server import Scratch

_CONNECTS_WITHIN_S = 30.0
# As a number: a time without a zone has that of the session, which is the policy's.
_SECONDS = "SELECT extract(epoch FROM q.at::timestamptz)::float8 FROM (\n{sql}\n) AS q(at)"
_OF_THE_DATABASE = frozenset({ProblemKind.UNSUPPORTED, ProblemKind.UNREADABLE, ProblemKind.DENIED})
_RELATION = re.compile(r'(?:btree index|heap table) "[^"]*"')
_AMCHECK = "CREATE EXTENSION IF NOT EXISTS amcheck"
_INSTALL = "name a scratch server that has it, or install PostgreSQL with its contrib package"
_CORRUPT = 2
_SHOWN = 3


@contextmanager
def read_only_session(scratch: Scratch) -> Iterator[PostgresSession]:
    """A session of the restored database with read-only transactions."""
    target = PostgresTarget(kind="postgres", dsn=SecretStr(scratch.dsn))
    session = open_session(target, _CONNECTS_WITHIN_S)
    try:
        yield session
    finally:
        session.close()


def evaluate(session: PostgresSession, assertion: Assertion, deadline: float) -> Asserted:
    """The result of an assertion: a number or a time. Raises ProbeError when the server does not answer."""
    sql = _SECONDS.format(sql=assertion.sql) if assertion.is_time else assertion.sql
    try:
        selected: Selected = session.ask(Select("", None, sql, number=True), max(1.0, deadline - time.monotonic()))
    except ProbeError as error:
        if error.problem.kind not in _OF_THE_DATABASE or error.problem.target_down:
            raise
        return Asserted(name=assertion.name, problem=error.problem.text)
    return _asserted(assertion, selected.values)


def _asserted(assertion: Assertion, values: tuple[str | None, ...]) -> Asserted:
    if len(values) != 1:
        return Asserted(name=assertion.name, problem="several rows" if values else "no row")
    if values[0] is None:
        return Asserted(name=assertion.name, problem="NULL: there is no row" if assertion.is_time else "NULL")
    number = float(values[0])
    if not assertion.is_time:
        if not math.isfinite(number):  # NaN is neither too small nor too large
            return Asserted(name=assertion.name, problem="a number that is none, such as NaN")
        return Asserted(name=assertion.name, number=number)
    try:
        return Asserted(name=assertion.name, time=datetime.fromtimestamp(number, UTC))
    except (ValueError, OverflowError, OSError):  # infinity is a time to PostgreSQL
        return Asserted(name=assertion.name, problem="a time that is none, such as infinity")


def verify(scratch: Scratch) -> tuple[str, str]:
    """Verify tables and indexes: the result in words, or as the second text the reason why that is impossible."""
    program = scratch.programs.installation.program("pg_amcheck")
    if not program.exists():
        return "", f"there is no pg_amcheck next to {program.parent}/pg_restore; {_INSTALL}"
    try:
        with connect(scratch.admin_dsn, time.monotonic() + _CONNECTS_WITHIN_S) as connection:
            connection.execute(_AMCHECK)
    except psycopg.Error as error:
        message = error.diag.message_primary or "the server does not answer"
        return "", f"the extension amcheck cannot be had: {message}; {_INSTALL}"
    words = ("--heapallindexed", "--jobs=2", "--no-password", f"service={scratch.admin_service}")
    finished = scratch.programs.run("pg_amcheck", *words, service=scratch.admin_service)
    if finished.returncode == 0:
        return "sound", ""
    if finished.returncode != _CORRUPT:
        return "", f"pg_amcheck ended with {finished.returncode}"
    damaged = sorted(set(_RELATION.findall(finished.stdout)))
    more = f" and {len(damaged) - _SHOWN} more" if len(damaged) > _SHOWN else ""
    return f"damaged: {', '.join(damaged[:_SHOWN]) or 'pg_amcheck says not what'}{more}", ""
