"""Every command that a remedy of a host prints, typed on this one."""

import pytest

from opscheck.systems.host import SYSTEM
from tests.servers.typed_commands import declared_commands, expectations_of, typed

COMMANDS = {
    "df -h {{ mount }}; df -i {{ mount }}": "IFree",
    "du -xk {{ mounted_on }} | sort -n | tail -20": "a folder",
    "find {{ mounted_on }} -xdev -type f -size +100000k -exec ls -l {} +": "grown.log",
}


def test_every_declared_command_is_in_the_table():
    assert declared_commands(expectations_of(SYSTEM)) == list(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_command_works_on_the_disk(tmp_path, command):
    folder = tmp_path / "a folder"
    folder.mkdir()
    with (folder / "grown.log").open("wb") as grown:
        grown.truncate(101_000 * 1024)  # sparse: it needs no space

    assert COMMANDS[command] in typed(command, {"mount": str(folder), "mounted_on": str(folder)}, {})
