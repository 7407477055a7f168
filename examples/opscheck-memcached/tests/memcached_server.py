"""A real memcached: on PATH, or named by OPSCHECK_MEMCACHED."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def memcached(*options: str) -> Iterator[int]:
    """The port of a memcached with these options; a LookupError where there is none."""
    program = os.environ.get("OPSCHECK_MEMCACHED") or shutil.which("memcached")
    if program is None:
        raise LookupError("no memcached on PATH, and OPSCHECK_MEMCACHED is not set")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    user = ["-u", "root"] if os.getuid() == 0 else []
    command = [program, "-l", "127.0.0.1", "-p", str(port), "-U", "0", *user, *options]
    with subprocess.Popen(command) as process:
        try:
            _wait_for(port)
            yield port
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    ends = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.05)
        else:
            return
