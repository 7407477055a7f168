"""Fixtures with real Redis servers of each version that is tested on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.cache import NotThere
from tests.servers.fetching import cannot
from tests.servers.stores import redis, redis_majors

# What tests do to a server is refused since version 7, unless it was started with these.
_ALLOWED = "--enable-debug-command local --enable-protected-configs local"
_ALLOWED_SINCE = 7


@pytest.fixture(scope="session", params=redis_majors(), ids=lambda major: f"redis{major}")
def redis_program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """
    The redis-server of each version that is tested on, which `Redis()` takes meanwhile.

    A fixture of a module or a session that starts one has to ask for this by name: pytest would keep it from
    one version to the next.
    """
    try:
        program = redis(request.param)
    except NotThere as why:
        cannot(str(why))
    if request.param >= _ALLOWED_SINCE:
        program = _with(_ALLOWED, program, tmp_path_factory.mktemp("redis"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("opscheck.demo.redis.program", lambda: program)
        yield program


@pytest.fixture(scope="session")
def redis_seven() -> Path:
    """Debian's redis-server: with TLS, without which the wheel's was built."""
    try:
        return redis(7)
    except NotThere as why:
        cannot(str(why))


def _with(options: str, program: Path, folder: Path) -> Path:
    """The program as a script, which adds options."""
    script = folder / "redis-server"
    script.write_text(f'#!/bin/sh\nexec "{program}" "$@" {options}\n')
    script.chmod(0o755)
    return script
