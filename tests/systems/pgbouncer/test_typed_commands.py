"""Every command that a remedy of PgBouncer prints, typed at a real console in that state, with authentication on."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

import pytest

from opscheck.core.redaction import Secrets
from opscheck.core.remedy import Remedy
from opscheck.core.templates import render
from opscheck.demo.postgres import DATABASE, installed_versions
from opscheck.systems.pgbouncer.pools import (
    ENABLE_DATABASE,
    RESUME,
    RESUME_DATABASE,
    SHOW_CLIENTS,
    SHOW_LIMIT,
    SHOW_POOL,
    SHOW_SERVER,
    PgbouncerPools,
)
from tests.servers.pgbouncer import PgBouncer
from tests.servers.typed_commands import type_command

READER, ADMIN = "opscheck", "bouncer_admin"


@contextmanager
def waiting(bouncer: PgBouncer) -> Iterator[None]:
    with bouncer.waiting_clients(1):
        yield


def after(*commands: str) -> Callable[[PgBouncer], AbstractContextManager[None]]:
    @contextmanager
    def state(bouncer: PgBouncer) -> Iterator[None]:
        for command in commands:
            bouncer.say(command)
        yield

    return state


class Typed(NamedTuple):
    """A command's role and state, and a part of each output."""

    role: str
    prints: tuple[str, ...]
    state: Callable[[PgBouncer], AbstractContextManager[None]]


TYPED: Mapping[Remedy, Typed] = {
    SHOW_POOL: Typed(READER, ("waiter-1", "pool_mode"), waiting),
    SHOW_SERVER: Typed(READER, ("force_user",), waiting),
    SHOW_LIMIT: Typed(READER, ("max_connections",), waiting),
    SHOW_CLIENTS: Typed(READER, ("waiter-1",), waiting),
    RESUME: Typed(ADMIN, ("RESUME",), after("PAUSE")),
    RESUME_DATABASE: Typed(ADMIN, ("RESUME",), after(f"PAUSE {DATABASE}")),
    ENABLE_DATABASE: Typed(ADMIN, ("ENABLE",), after(f"DISABLE {DATABASE}")),
}


@pytest.fixture(scope="module", name="bouncer")
def _bouncer(clusters, pgbouncer_program) -> Iterator[PgBouncer]:
    with PgBouncer(clusters(next(iter(installed_versions().values()))), pgbouncer_program) as bouncer:
        yield bouncer


def test_every_declared_command_is_in_the_table():
    declared = {remedy: len(remedy.commands) for remedy in PgbouncerPools.remedies if remedy.commands}

    assert {remedy: len(typed.prints) for remedy, typed in TYPED.items()} == declared


def test_command_that_changes_something_names_admin_users():
    changing = [remedy for remedy, typed in TYPED.items() if typed.role == ADMIN]

    assert all("as one of admin_users" in remedy.summary for remedy in changing)


@pytest.mark.parametrize("remedy", TYPED, ids=[remedy.commands[0].partition("#")[0].strip() for remedy in TYPED])
def test_command_works_as_printed(bouncer, remedy):
    typed = TYPED[remedy]
    dsn, secrets = bouncer.dsn(typed.role), Secrets()
    secrets.add(dsn, "${PGBOUNCER_URL}")
    facts = {"dsn": dsn, "database": DATABASE, "pool_size": "2", "max_clients": "100", "subject": "PgBouncer"}
    lines = [render(command, facts, secrets) or "" for command in remedy.commands]
    with typed.state(bouncer):
        printed = [type_command(line, {"PGBOUNCER_URL": dsn}) for line in lines]

    assert all(part in text for part, text in zip(typed.prints, printed, strict=True))
