"""Asking for the content of a backup, and making sure that no row of it is in the answer."""

import os
import re
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from opscheck.core.observation import Problem
from opscheck.systems.stores.content import Content, ReadContent, ReadEnds
from tests.servers.dumps import SECRET

KEY = "db/backup-20260301-020000.dump"


def read(store, body: bytes, *, key: str = KEY, timeout_s: float = 30, **fields: Any) -> Content | Problem:
    """All of a backup, as the store gives it."""
    store.put(key, body)
    return checked(store.ask(ReadContent("target", key, len(body), **fields), timeout_s))


def ends(store, body: bytes, *, key: str = KEY, **fields: Any) -> Content | Problem:
    """The ends of a backup."""
    store.put(key, body)
    return checked(store.ask(ReadEnds("target", key, len(body), **fields)))


def folder(store, files: Mapping[str, bytes], query=ReadContent, **fields: Any) -> Content | Problem:
    """A backup that is a folder."""
    for name, body in files.items():
        store.put(f"db/daily/{name}", body)
    return checked(store.ask(query("target", "db/daily/", sum(map(len, files.values())), **fields), 30))


def checked(answer: Any) -> Any:
    """The same answer; fails where it quotes a row."""
    assert SECRET not in msgspec.json.encode(answer).decode()
    return answer


def flaws(content: Content | Problem) -> list[tuple[str, str]]:
    """What is wrong, without the version of a program."""
    assert isinstance(content, Content), content
    return [(flaw.trouble, re.sub(r"(pg_restore) [\d.]+", r"\1", flaw.text)) for flaw in content.flaws]


def processes(*words: str) -> list[int]:
    """The processes that have all of these words in their command lines."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if all(word in line for word in words) and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


def tool(*command: str, data: bytes) -> bytes:
    """What a program of this machine makes of it."""
    return subprocess.run(command, input=data, capture_output=True, timeout=60, check=True).stdout
