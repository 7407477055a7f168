"""A private folder that is removed when this process ends, however it ends."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import IO, Self, cast

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.units import format_bytes

PREFIX = "opscheck-content-"
_SPARE = 64 * 2**20
_REMOVING_TAKES_AT_MOST_S = 30.0
# Its input ends with this process, also by SIGKILL. Then it removes the folder, and ends its process group.
_SCRIPT = "trap '' HUP INT TERM; cat > /dev/null; rm -rf -- \"$1\"; kill -KILL 0"


class TemporaryDirectory:
    """A folder for `size` bytes. Raises ProbeError where there is no room for them."""

    def __init__(self, size: int) -> None:
        place = tempfile.gettempdir()
        free = shutil.disk_usage(place).free
        if size + _SPARE > free:
            text = f"its {format_bytes(size)} must be fetched, and {place} has {format_bytes(free)} free"
            raise ProbeError(ProblemKind.UNSUPPORTED, text, "set TMPDIR to a folder with more room")
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._keeper = subprocess.Popen(  # noqa: S603 - a script of ours, and a path that we have made
            ["/bin/sh", "-c", _SCRIPT, "opscheck", self.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            process_group=0,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        cast("IO[bytes]", self._keeper.stdin).close()
        try:
            self._keeper.wait(_REMOVING_TAKES_AT_MOST_S)
        finally:
            # In case the keeper was killed.
            shutil.rmtree(self.path, ignore_errors=True)

    @property
    def group(self) -> int:
        """The process group that ends with the folder."""
        return self._keeper.pid
