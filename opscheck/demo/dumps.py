"""The content of the demo's backups: its database as pg_dump writes it, and the objects of its cluster."""

import gzip
import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

from opscheck.demo.kubernetes import Object, World
from opscheck.demo.postgres import DATABASE, PostgreSQL
from opscheck.transport.processes import ServerFailed

EMPTY_GZIP = gzip.compress(b"", mtime=0)
"""A gzip file without content: 20 bytes, from a pipe whose dump failed."""

_DUMPING_TAKES_AT_MOST = 60.0
# Position of the creation time in an archive's header: seven numbers, each a sign and four bytes. Valid from the
# archive version that PostgreSQL 16 writes.
_MADE_FROM, _MADE_TO = 12, 47
_VERSION = slice(5, 7)
_OLDEST_VERSION = bytes([1, 15])
_SAVED = (
    "Deployment",
    "StatefulSet",
    "Service",
    "Ingress",
    "CronJob",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
)


def dump(server: PostgreSQL) -> bytes:
    """The database in pg_dump's custom format, as a superuser, who can connect when all other connections are used."""
    address = urlsplit(server.dsn("postgres"))
    program = server.programs / "bin" / "pg_dump"
    where = [f"--host={address.hostname}", f"--port={address.port}", f"--username={address.username}"]
    made = subprocess.run(  # noqa: S603 -- in the folder of the server's programs
        [program, "--format=custom", "--no-password", *where, DATABASE],
        env={"PGPASSWORD": unquote(address.password or ""), "TZ": "UTC"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=_DUMPING_TAKES_AT_MOST,
    )
    if made.returncode != 0:
        raise ServerFailed(f"pg_dump ended with {made.returncode}:\n{made.stderr.decode(errors='replace')}")
    return made.stdout


def log(at: datetime) -> bytes:
    """A minute of the application's log, compressed."""
    return gzip.compress(f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ} INFO workflows are running\n".encode(), mtime=0)


def as_if_made(archive: bytes, at: datetime) -> bytes:
    """The same archive with another creation time in its header."""
    if archive[_VERSION] < _OLDEST_VERSION:
        raise ServerFailed(f"not an archive of pg_dump 16 or later: {archive[:8]!r}")
    utc = at.astimezone(UTC)
    numbers = (utc.second, utc.minute, utc.hour, utc.day, utc.month - 1, utc.year - 1900, 0)
    made = b"".join(b"\0" + number.to_bytes(4, "little") for number in numbers)
    return archive[:_MADE_FROM] + made + archive[_MADE_TO:]


def configuration(world: World, at: datetime) -> bytes:
    """The configured objects, without Secrets and without their status, as a tar.gz of that time."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for name, item in _written(world):
            content = json.dumps(item, indent=1).encode()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(content), int(at.timestamp())
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(tar.getvalue(), mtime=int(at.timestamp()))


def _written(world: World) -> Iterator[tuple[str, Object]]:
    with world.lock:
        for resource in world.resources:
            for item in world.select(resource) if resource.kind in _SAVED else ():
                place = item["metadata"]
                yield (
                    f"{place['namespace']}/{resource.plural}/{place['name']}.json",
                    {key: value for key, value in item.items() if key != "status"},
                )
