"""The terminal output of a run, next to pytest's own lines."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest

from opscheck.core.progress import going_on
from opscheck.core.record import Run
from opscheck.core.redaction import Secrets
from opscheck.gathering.gatherer import Progress
from opscheck.reports.terminal import summary
from opscheck.reports.text import cut, for_job_log, one_line, without_workflow_commands

_JOB_LOGS = {"GITHUB_ACTIONS": "true", "GITLAB_CI": "true", "TF_BUILD": "True"}


def is_job_log() -> bool:
    """True where a CI system reads commands in the output."""
    return any(os.environ.get(name) == value for name, value in _JOB_LOGS.items())


class Terminal:
    """pytest's terminal reporter, if any."""

    def __init__(self, config: pytest.Config, secrets: Secrets) -> None:
        self._config = config
        self._secrets = secrets

    @contextmanager
    def progress(self) -> Generator[Progress | None]:
        """A line that counts the answers while gathering, on a terminal only."""
        reporter = self._reporter()
        if reporter is None or not reporter.isatty:
            yield None
            return

        def show(done: int, total: int) -> None:
            work = one_line(self._secrets.clean(going_on()))
            line = f"gathering {done}/{total}{f': {work}' if work else ''}"
            reporter.rewrite(cut(line, self._config.get_terminal_writer().fullwidth - 1), erase=True)

        yield show
        reporter.rewrite("", erase=True)

    def summary(self, run: Run) -> None:
        """The findings, worst first."""
        reporter = self._reporter()
        if reporter is None:
            return
        writer = self._config.get_terminal_writer()
        text = summary(
            run,
            width=writer.fullwidth,
            colour=writer.hasmarkup,
            verbose=reporter.verbosity > 0 or self._config.getoption("opscheck_verbose"),
            quiet=self._config.getoption("opscheck_quiet"),
            whole=not reporter.isatty,
        )
        if is_job_log():
            text = without_workflow_commands(text)
        reporter.ensure_newline()
        reporter.write(text if text.endswith("\n") else f"{text}\n")
        if self._config.getoption("reruns", None):
            reporter.write_line("opscheck: --reruns sends no query again: every rerun judged the same answers.")
            reporter.write_line("Run the whole command again to query the targets again.")

    def make_warnings_harmless(self) -> None:
        """Write out the commands in pytest's warnings, which it prints next."""
        reporter = self._reporter()
        for warning in reporter.stats.get("warnings", []) if reporter is not None else []:
            warning.message = for_job_log(warning.message)

    def _reporter(self) -> Any:
        # The class of the reporter is not public API; it may be absent (-p no:terminal).
        return self._config.pluginmanager.get_plugin("terminalreporter")
