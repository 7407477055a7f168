"""Writing files atomically."""

import os
import tempfile
from pathlib import Path


def write_whole(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """
    Write the whole file or nothing, so that a reader never sees a part of it. Raises OSError.

    A pipe or device, such as /dev/stdout, is written to directly; of a link its target is written.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        path.write_bytes(content)
        return
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        written = Path(file.name)
        try:
            file.write(content)
            file.flush()
            written.chmod(mode)
            written.replace(path)
        except OSError:
            written.unlink()
            raise
