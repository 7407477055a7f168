"""The line that counts the answers while a run gathers."""

from types import SimpleNamespace

import pytest

from opscheck.core.progress import working
from opscheck.core.redaction import Secrets
from opscheck.reports.text import width_of
from opscheck.running.terminal import Terminal


class Reporter:
    """A terminal, as far as pytest's reporter is one."""

    isatty = True

    def __init__(self) -> None:
        self.lines: list[str] = []

    def rewrite(self, line: str, **_: bool) -> None:
        line.encode()
        self.lines.append(line)


def shown(what: str, *, width: int = 60, secrets: Secrets | None = None) -> str:
    """What the line says while that work goes on."""
    reporter = Reporter()
    plugins = SimpleNamespace(get_plugin=lambda _name: reporter)
    config = SimpleNamespace(pluginmanager=plugins, get_terminal_writer=lambda: SimpleNamespace(fullwidth=width))
    with Terminal(config, secrets or Secrets()).progress() as show, working(what):
        assert show is not None
        show(1, 2)
    line, erased = reporter.lines
    assert "" == erased
    return line


def test_progress_line_shows_running_work():
    assert "gathering 1/2: reading a.dump" == shown("reading a.dump")


@pytest.mark.parametrize("name", ["a\x1b]0;mine\x07", "a\r\nb", "a\u202eb", "a\udcff"])
def test_backup_name_is_escaped_in_the_progress_line(name):
    """Whoever may write to a store chooses it."""
    assert shown(f"reading {name}").isprintable()


def test_output_contains_no_secret():
    secrets = Secrets()
    secrets.add("pl4nted-secret", "${BACKUP_PREFIX}")

    assert "gathering 1/2: reading ${BACKUP_PREFIX}/a" == shown("reading pl4nted-secret/a", secrets=secrets)


@pytest.mark.parametrize("name", ["a" * 100, "備" * 100])
def test_progress_fits_on_one_line(name):
    assert width_of(shown(f"reading {name}")) < 60
