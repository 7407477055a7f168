"""Fixtures with real PostgreSQL servers, for the tests of everything that reads or judges one."""

import functools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import pytest

from opscheck.demo.postgres import PostgreSQL, has_contrib
from opscheck.transport.processes import wait_until
from tests.servers.cache import NotThere
from tests.servers.clients import Admin, superuser
from tests.servers.fetching import cannot
from tests.servers.stores import postgres, postgres_majors

Limit: TypeAlias = Callable[[str, int], None]

_CLIENTS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"


@pytest.fixture(scope="session", params=postgres_majors(), ids=lambda major: f"postgres{major}")
def installation(request: pytest.FixtureRequest) -> Path:
    """Each version that is tested on: the folder of its programs, for a server of the test's own."""
    try:
        return postgres(request.param)
    except NotThere as why:
        return cannot(str(why))


class Templates:
    """Data folders that new servers start from: initdb and the roles take ten times as long as a copy."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, bool], PostgreSQL] = {}
        self._initdb, self._create_roles = PostgreSQL._initdb, PostgreSQL._create_roles
        self._place = tempfile.gettempdir()  # a test may have another, which ends with it

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """From now on."""
        patch.setattr(PostgreSQL, "_initdb", lambda server: self._copy(server))  # noqa: PLW0108 -- it becomes a method
        patch.setattr(PostgreSQL, "_create_roles", lambda server: None)

    def remove(self, patch: pytest.MonkeyPatch) -> None:
        """Let new servers make everything themselves."""
        patch.setattr(PostgreSQL, "_initdb", self._initdb)
        patch.setattr(PostgreSQL, "_create_roles", self._create_roles)

    def close(self) -> None:
        """Delete the folders."""
        for template in self._made.values():
            template.close()

    def _copy(self, server: PostgreSQL) -> None:
        kind = (server.version, server.has_contrib)
        if kind not in self._made:
            self._made[kind] = self._new(server.programs)
        shutil.copytree(self._made[kind].data, server.data, symlinks=True)
        server._passwords.update(self._made[kind]._passwords)

    def _new(self, programs: Path) -> PostgreSQL:
        with pytest.MonkeyPatch.context() as patch:
            self.remove(patch)
            patch.setattr(tempfile, "tempdir", self._place)
            template = PostgreSQL(programs=programs)
        template.stop()
        return template


@pytest.fixture(scope="session", autouse=True)
def postgres_templates() -> Iterator[Templates]:
    """Every server starts from a copy of the data of one that was made before."""
    templates = Templates()
    with pytest.MonkeyPatch.context() as patch:
        templates.install(patch)
        yield templates
    templates.close()


@pytest.fixture
def no_template(postgres_templates: Templates, monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers run initdb."""
    postgres_templates.remove(monkeypatch)


@pytest.fixture(scope="session")
def clusters() -> Iterator[Callable[[Path], PostgreSQL]]:
    """Starts a server of an installation, once: they live until the end, for pytest goes through versions by file."""
    with ExitStack() as running:
        yield functools.cache(lambda programs: running.enter_context(_shared(programs)))


def _shared(programs: Path) -> PostgreSQL:
    loaded = {"shared_preload_libraries": "pg_stat_statements"} if has_contrib(programs) else {}
    return PostgreSQL(programs=programs, **loaded)


@pytest.fixture(scope="session")
def cluster(installation: Path, clusters: Callable[[Path], PostgreSQL]) -> PostgreSQL:
    """A server of each version that is there."""
    return clusters(installation)


@pytest.fixture(scope="session")
def contrib_installation(installation: Path) -> Path:
    """With the extensions of PostgreSQL's sources: pg_stat_statements, amcheck, pgstattuple, pg_visibility."""
    if not has_contrib(installation):
        cannot("PostgreSQL of the wheel has no contrib: `make stores` has")
    return installation


@pytest.fixture
def contrib(contrib_installation: Path, cluster: PostgreSQL) -> None:
    """A server with these, of which pg_stat_statements is loaded."""


@pytest.fixture(scope="session")
def postgres_tls(installation: Path) -> Path:
    """Whose server can TLS."""
    if not any(installation.glob("lib/libssl*")):
        cannot("PostgreSQL of the wheel is built without TLS: `make stores` has others")
    return installation


@pytest.fixture(scope="session")
def admin(cluster: PostgreSQL) -> Iterator[Admin]:
    """A superuser who is no client that anybody counts."""
    with superuser(cluster) as connection:
        yield connection


@pytest.fixture
def server(cluster: PostgreSQL, admin: Admin) -> PostgreSQL:
    """The server without any client: a session ends a moment after its client has gone."""
    wait_until(lambda: admin.execute(_CLIENTS).fetchone() == (0,), 10, "clients of an earlier test are still there")
    return cluster


@pytest.fixture
def own_server(installation: Path) -> Iterator[PostgreSQL]:
    """A server that the test may stop or change."""
    with PostgreSQL(programs=installation) as server:
        yield server


@pytest.fixture
def limit(admin: Admin) -> Iterator[Limit]:
    """Sets a CONNECTION LIMIT, on `ROLE app` for example, and takes it off again."""
    with ExitStack() as undo:

        def set_limit(what: str, connections: int) -> None:
            undo.callback(admin.execute, f"ALTER {what} CONNECTION LIMIT -1")
            admin.execute(f"ALTER {what} CONNECTION LIMIT {connections}")

        yield set_limit


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Closes at the end of the test what the test puts into it."""
    with ExitStack() as opened:
        yield opened
