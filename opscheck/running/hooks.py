"""The pytest hooks of a run that has a policy, in the order in which pytest calls them."""

import logging
import shutil
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from opscheck.core.exit_codes import ExitCode, UserError
from opscheck.core.findings import Findings
from opscheck.core.observation import CouldNotObserve
from opscheck.core.record import Result, Run, encode
from opscheck.core.redaction import Secrets
from opscheck.gathering.snapshot import Snapshot, SnapshotError, read_snapshot
from opscheck.policy.draft import Draft, read_policy
from opscheck.policy.files import STANDARD_INPUT, standard_input
from opscheck.policy.models import Policy
from opscheck.reports.text import for_job_log
from opscheck.running import fixtures
from opscheck.running.cause_analysis import rehearse
from opscheck.running.checks import Check
from opscheck.running.collection import CollectionPaths, Collector, chosen_by_node, collection_arguments, expectation_of
from opscheck.running.evaluation import conclude
from opscheck.running.fixtures import EXPECTATION, FINDINGS, OBSERVING
from opscheck.running.observations import Observations
from opscheck.running.pytest_reports import add_allure_labels, clean, make_harmless, present, result_of
from opscheck.running.results import compose, record
from opscheck.running.settings import Settings, read_settings
from opscheck.running.terminal import Terminal, is_job_log
from opscheck.running.workers import hand_back, hand_over, is_controller, is_worker, receive, take_back
from opscheck.transport.files import write_whole

_STOPPED: dict[int, ExitCode] = {
    pytest.ExitCode.INTERRUPTED: ExitCode.INTERRUPTED,
    pytest.ExitCode.INTERNAL_ERROR: ExitCode.INTERNAL_ERROR,
}
# `return answer.status == 200` instead of `assert` would pass with only a warning.
_NO_RETURN = pytest.mark.filterwarnings("error::pytest.PytestReturnNotNoneWarning")


def activate(config: pytest.Config, policies: Sequence[Path]) -> None:
    """Read the policy, of which each file extends those before it, and take over the run. Raises pytest.UsageError."""
    *below, policy = policies
    settings = read_settings(config, policy)
    if STANDARD_INPUT in policies:
        _read_standard_input(config)
    try:
        draft = read_policy(policy, below=below, keep_unset=settings.snapshot is not None)
        snapshot = _snapshot(settings.snapshot, draft) if settings.snapshot else None
        if not draft.unknown_checks():
            draft.finish(today=_today(snapshot))  # nothing is collected for an invalid policy
    except UserError as error:
        raise pytest.UsageError(str(error)) from None
    given, config.args = config.args, collection_arguments(config, draft)
    if config.args != given or is_worker(config):
        config.pluginmanager.register(CollectionPaths(map(Path, config.args)), "opscheck-collection-paths")
    run = RunHooks(config, settings, draft, snapshot)
    config.pluginmanager.register(fixtures, "opscheck-fixtures")
    config.pluginmanager.register(run, "opscheck-run")


class RunHooks:
    """One run: its policy, its observations, and the result of each expectation."""

    def __init__(self, config: pytest.Config, settings: Settings, draft: Draft, snapshot: Snapshot | None) -> None:
        self._config = config
        self._settings = settings
        self._draft = draft
        self._snapshot = snapshot
        self._secrets: Secrets = draft.secrets
        self._collector = Collector(draft, settings, _today(snapshot))
        self._policy: Policy | None = None
        self._observations: Observations | None = None
        self._handover: dict[str, Any] | None = None
        self._selected: list[str] = []
        self._uncollected: list[str] = []
        self._deselected: set[str] = set()
        self._results: dict[str, Result] = {}
        self._strangers_failed: list[str] = []
        self._unwritten: list[str] = []
        self._started_at = datetime.now(UTC)
        self._terminal = Terminal(config, self._secrets)
        self._run: Run | None = None
        self._session: pytest.Session
        self._log_records = logging.getLogRecordFactory()
        logging.setLogRecordFactory(self._clean_log_record)

    # -- start ---------------------------------------------------------------------------------------------------

    def pytest_report_header(self) -> str:
        """The line with the policy, the gate, and the sources."""
        source = f", snapshot {self._settings.snapshot}" if self._settings.snapshot else ""
        state = f", state {self._settings.state}" if self._settings.state else ""
        uses = "".join(f", uses {one.name} {one.version}" for one in self._draft.uses)
        return f"opscheck: {self._settings.policy}, fails on {self._settings.gate}{source}{state}{uses}"

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Keep the session for hooks without that argument."""
        self._session = session

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self) -> None:
        """
        Under xdist, collect and gather in the controller, before any worker starts.

        The controller collects nothing by itself, but only there can every query be sent once for all workers.
        """
        self._session.perform_collect()
        if not self._session.testsfailed:
            self._gather(self._session)
            self._handover = hand_over(self._state)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Pass the observations to a worker (xdist, in the controller)."""
        if self._handover is not None:
            node.workerinput["opscheck"] = self._handover

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Receive the observations of a worker, for the state file (xdist, in the controller)."""
        if self._observations is not None:
            take_back(node, self._observations)

    # -- collection ----------------------------------------------------------------------------------------------

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Ignore bundled checks that this policy does not use."""
        return True if self._collector.ignores(collection_path) else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(
        self, collector: pytest.Module | pytest.Class, name: str, obj: object
    ) -> list[pytest.Item] | None:
        """Ignore a check without a policy entry."""
        if not (callable(obj) and hasattr(obj, "__code__") and collector.istestfunction(obj, name)):
            return None
        check = self._collector.check_of(obj)
        return [] if check is not None and not self._draft.entries(check.kind) else None

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Create one item per policy entry."""
        check = self._collector.check_of(metafunc.function)
        if check is not None:
            entries = self._draft.entries(check.kind)
            metafunc.parametrize(check.argument, entries, ids=[entry.id for entry in entries])

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(
        self, session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Reject a policy that is invalid or not judged in full, then select."""
        for item in items:
            check = self._check_of(item)
            expectation = expectation_of(item, check) if check else None
            if expectation is not None:
                item.stash[EXPECTATION] = self._settings.allowed(expectation)
                item.add_marker(_NO_RETURN)
        self._policy = self._collector.finish(
            items,
            judged_in_full=not session.testsfailed and not chosen_by_node(config),
            modules_failed=bool(session.testsfailed),
        )
        for tag in sorted({tag for one in self._policy.expectations for tag in one.tags}):
            config.addinivalue_line("markers", f"{tag}: expectations tagged {tag}")
        if session.testsfailed and not chosen_by_node(config):
            self._uncollected = self._collector.uncollected(items, self._policy)
        self._collector.arrange(items, self._policy, config)
        self._selected = [item.stash[EXPECTATION].id for item in items if EXPECTATION in item.stash]

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Record deselected items. An item that disappears in any other way is lost."""
        self._deselected.update(item.stash[EXPECTATION].id for item in items if EXPECTATION in item.stash)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Record collection errors after which the run goes on."""
        if report.failed:
            self._strangers_failed.append(_failure(report))

    # -- gathering and judging -----------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Send every query before the first check runs."""
        if is_worker(self._config):
            if not session.testsfailed:
                receive(self._config, self._new_state())
        elif is_controller(self._config):
            if session.testsfailed:  # xdist would continue without the checks that could not be imported
                raise session.Interrupted(f"{session.testsfailed} errors during collection")
        elif not (self._config.option.collectonly or session.testsfailed):
            self._gather(session)
        try:
            return (yield)
        finally:
            if self._observations is not None:
                self._observations.close()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Set `observe` and `findings` of the check, or skip it when it does not apply."""
        expectation = item.stash.get(EXPECTATION, None)
        if expectation is None:
            return
        item.stash[OBSERVING] = self._state.observing(expectation)
        item.stash[FINDINGS] = Findings(expectation)
        if expectation.skip is not None:
            pytest.skip(expectation.skip)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Create the result of a check."""
        report = yield
        clean(report, self._secrets)
        judged = call.when == "call" or (call.when == "setup" and not report.passed)
        if judged and EXPECTATION in item.stash and not _stops(call):
            self._present(item, call, report)
        if is_job_log():
            make_harmless(report)
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Keep secrets out of collection errors too."""
        report = yield
        clean(report, self._secrets)
        if is_job_log():
            make_harmless(report)
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record a result; with xdist the controller receives it here."""
        result = result_of(report)
        if result is not None:
            self._results[result.id] = result
        elif report.failed:
            self._strangers_failed.append(_failure(report))

    # -- end -----------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Set the exit code and write the record."""
        if is_worker(self._config) and self._observations is not None:
            hand_back(self._config, self._observations)
        if is_worker(self._config) or self._config.option.collectonly or exitstatus == pytest.ExitCode.USAGE_ERROR:
            return
        if self._handover is not None:
            # Every worker has read the observations, which include secrets.
            shutil.rmtree(self._handover["folder"], ignore_errors=True)
        if self._policy is None or self._observations is None:
            return
        self._unwritten += [f"--state: {trouble}" for trouble in self._observations.remembering.finish()]
        self._unwritten += self._observations.unwritten
        self._run = record(
            self._policy,
            self._settings.gate,
            [name for name in [*self._selected, *self._uncollected] if name not in self._deselected],
            self._results,
            started_at=self._started_at,
            observed_at=self._observations.now,
            identities=self._observations.identities(),
            stopped=_STOPPED.get(exitstatus) or (ExitCode.INTERNAL_ERROR if self._unwritten else None),
            strangers_failed=self._strangers_failed,
        )
        session.exitstatus = self._run.gate.exit_code
        if self._settings.record is not None:
            with self._telling("--run-json", self._settings.record):
                write_whole(self._settings.record, encode(self._run))
        if self._unwritten:
            session.exitstatus = session.exitstatus or ExitCode.INTERNAL_ERROR
            sys.stderr.write("".join(f"opscheck: {text}\n" for text in self._unwritten))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self) -> Generator[None]:
        """Print the findings, worst first; warnings contain text of targets too."""
        if is_job_log():
            self._terminal.make_warnings_harmless()
        yield
        if self._run is not None:
            self._terminal.summary(self._run)

    def pytest_unconfigure(self) -> None:
        """Restore the logging module."""
        logging.setLogRecordFactory(self._log_records)

    # -- parts ---------------------------------------------------------------------------------------------------

    @property
    def _state(self) -> Observations:
        return self._observations or self._new_state()

    def _new_state(self) -> Observations:
        assert self._policy is not None  # noqa: S101 - collection has finished it
        self._observations = Observations(self._policy, self._draft.registry, self._settings, self._snapshot)
        return self._observations

    def _gather(self, session: pytest.Session) -> None:
        selected = [item.stash[EXPECTATION] for item in session.items if EXPECTATION in item.stash]
        state = self._new_state()
        with self._terminal.progress() as progress:
            state.gather(selected, progress)
        state.tellers = rehearse(session.items, state)
        with self._telling("--save", self._settings.save):
            state.save()

    @contextmanager
    def _telling(self, option: str, path: Path | None) -> Generator[None]:
        """Continue when a file cannot be written: the verdicts matter more; the exit code is 3."""
        try:
            yield
        except OSError as error:
            self._unwritten.append(f"{option}: {path} cannot be written: {error.strerror}")

    def _check_of(self, item: pytest.Item) -> Check | None:
        function = getattr(item, "function", None)
        return self._collector.check_of(function) if function else None

    def _present(self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        check = self._check_of(item)
        assert check is not None  # noqa: S101 - or the item would have no expectation
        result = compose(
            self._state.policy,
            item.stash[EXPECTATION],
            conclude(item, call, check, self._state),
            item.stash[OBSERVING],
            gate=self._settings.gate,
            claim=check.claim,
        )
        present(report, item, result, _traceback(call, report))
        if self._config.pluginmanager.hasplugin("allure_pytest"):
            add_allure_labels(item, result)

    def _clean_log_record(self, *arguments: Any, **options: Any) -> logging.LogRecord:
        made = self._log_records(*arguments, **options)
        try:
            message = made.getMessage()
        except (TypeError, ValueError, KeyError):  # its arguments do not fit; an error of a client library
            message = f"{made.msg} {made.args}"
        message = self._secrets.clean(message)
        made.msg, made.args = for_job_log(message) if is_job_log() else message, ()
        return made


def _read_standard_input(config: pytest.Config) -> None:
    if is_worker(config) or getattr(config.option, "tx", None):
        raise pytest.UsageError("--policy=-: the workers of pytest-xdist have no standard input; name a file")
    if (capture := config.pluginmanager.get_plugin("capturemanager")) is not None:
        capture.suspend_global_capture(in_=True)  # pytest resumes it before it collects
    standard_input()


def _snapshot(path: Path, draft: Draft) -> Snapshot:
    snapshot = read_snapshot(path, draft.secrets)
    environment = draft.secrets.clean(draft.environment)
    unset = "${" in environment  # a variable that is not set where only a snapshot is judged
    if environment and not unset and snapshot.environment != environment:
        text = f"{path}: a snapshot of {snapshot.environment or 'no environment'}, and {draft.path} is about"
        raise SnapshotError(f"{text} {environment}; judge it with a policy for {snapshot.environment or 'it'}")
    return snapshot


def _today(snapshot: Snapshot | None) -> Any:
    return (snapshot.taken_at if snapshot else datetime.now(UTC)).date()


def _stops(call: pytest.CallInfo[None]) -> bool:
    """True for the end of the session, which is not the outcome of a check."""
    # pytest goes on after a SystemExit.
    return call.excinfo is not None and isinstance(call.excinfo.value, KeyboardInterrupt | pytest.exit.Exception)


def _failure(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The failed item and the last line of its traceback."""
    phase = f" ({report.when})" if isinstance(report, pytest.TestReport) and report.when != "call" else ""
    said = [line.removeprefix("E").strip() for line in report.longreprtext.splitlines() if line.startswith("E ")]
    return f"{report.nodeid}{phase}: {said[0]}" if said else f"{report.nodeid}{phase}"


def _traceback(call: pytest.CallInfo[None], report: pytest.TestReport) -> str:
    """The traceback for the author of a check: of a plain assert, or of an error in the check."""
    if call.excinfo is None or isinstance(call.excinfo.value, CouldNotObserve | pytest.skip.Exception):
        return ""
    return report.longreprtext
