"""One drill, with the duration of each phase; its files and databases are always removed."""

import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from opscheck.core.observation import ProbeError, Problem, ProblemKind
from opscheck.core.units import format_duration
from opscheck.systems.recovery.drill_record import (
    AMCHECK,
    ASSERT,
    CLEAN,
    EMPTY,
    FETCH,
    FIND,
    LATE,
    RESTORE,
    START,
    Assertion,
    Drill,
    Failure,
    Phase,
    reasons,
)
from opscheck.systems.recovery.probe.drilling.assertions import evaluate, read_only_session, verify
from opscheck.systems.recovery.probe.drilling.cleanup import remove_folder
from opscheck.systems.recovery.probe.drilling.dumps import Dump, identify
from opscheck.systems.recovery.probe.drilling.errors import Ended, Failed, Late
from opscheck.systems.recovery.probe.drilling.fetching import Fetching, require_disk_space, unpack_archive
from opscheck.systems.recovery.probe.drilling.messages import (
    Began,
    Done,
    Made,
    Message,
    ProgressWriter,
    Refused,
    Task,
    scratch_dsn,
)
from opscheck.systems.recovery.probe.drilling.programs import Programs, reachable_programs
from opscheck.systems.recovery.probe.drilling.restoring import restore
from opscheck.systems.recovery.probe.drilling.server import (
    Scratch,
    Settings,
    has_relations,
    newest_with,
    own_server,
    scratch_database,
)
from opscheck.systems.recovery.probe.drilling.watchdog import Watchdog
from opscheck.transport.processes import give, unprivileged_user

NEWEST = "the newest row"


def perform(task: Task, progress: ProgressWriter, watchdog: Watchdog) -> Message:
    """Run the drill and remove everything that it made. Returns the message for the process that started it."""
    drill = _Drill(task, progress)
    ending = drill.run(watchdog)
    if isinstance(ending, ProbeError):
        return Refused(problem=ending.problem)
    if isinstance(ending, Ended):
        return Refused(problem=Problem(kind=ProblemKind.UNSUPPLIED, text="the drill was ended before it was done"))
    return Done(drill=drill.record(ending))


class _Drill:
    """A drill and its record so far."""

    def __init__(self, task: Task, progress: ProgressWriter) -> None:
        self._task, self._query, self._place = task, task.query, task.drill_place()
        self._folder = Path(task.folder)
        self._progress = progress
        self._deadline = time.monotonic() + self._query.within_s
        self._phases: list[Phase] = []
        self._phase = FIND
        self._known = Drill(
            drill=self._query.drill, began_at=datetime.now(UTC), key=self._query.key, data_time=self._query.data_time
        )

    def run(self, watchdog: Watchdog) -> Failed | Late | Ended | ProbeError | None:
        """Run it, and remove everything that it made. Returns the error that ended it early."""
        ending: Failed | Late | Ended | ProbeError | None = None
        made = ExitStack()
        try:
            self._do(made)
        except (Failed, Late, Ended, ProbeError) as error:
            ending = error
            if isinstance(error, Late) and self._phase == FIND:
                silent = f"the store did not answer within {format_duration(self._query.within_s)}"
                ending = ProbeError(ProblemKind.LATE, silent)
        except Exception as error:  # noqa: BLE001 - the process that started the drill reports it, and all is removed first
            ending = ProbeError(ProblemKind.BROKEN, f"opscheck failed in the phase {self._phase}: {_where(error)}")
        finally:
            watchdog.stop()
            with self._measured(CLEAN, "removing what the drill has made"):
                try:
                    made.close()
                except ProbeError as error:
                    ending = error
                finally:
                    remove_folder(self._folder)
        return ending

    def record(self, ending: Failed | Late | Ended | ProbeError | None) -> Drill:
        """Its record, with the verdict by the limits of the policy."""
        failure = None
        if isinstance(ending, Failed):
            failure = Failure(phase=self._phase, trouble=ending.trouble, text=ending.text)
        elif ending is not None:
            text = f"not done within {format_duration(self._query.within_s)}"
            failure = Failure(phase=self._phase, trouble=LATE, text=text)
        drill = msgspec.structs.replace(self._known, phases=tuple(self._phases), failure=failure)
        return msgspec.structs.replace(drill, reasons=reasons(drill, self._place.limits))

    def _do(self, made: ExitStack) -> None:
        give(self._folder, unprivileged_user())
        of_server = ("postgres", "initdb") if self._place.scratch is None else ()
        programs = newest_with(*of_server, "psql", "pg_restore")
        fetching = Fetching(self._place.store, self._query.key, self._query.version, self._deadline)
        with self._measured(FIND, f"looking for {self._query.key}"):
            sizes = fetching.find()
            require_disk_space(
                sum(sizes.values()), self._folder, self._place.disk_bytes, own_server=self._place.scratch is None
            )
        dump = self._fetched(fetching, sizes)
        with self._measured(START, "starting a scratch server"):
            settings = Settings(dump.encoding, self._query.time_zone)
            scratch = made.enter_context(self._scratch(reachable_programs(programs, self._folder), settings))
            self._note(server=scratch.version)
        self._restore(dump, scratch)
        with self._measured(ASSERT, "querying the restored database"):
            self._ask(scratch)
        if self._query.amcheck:
            with self._measured(AMCHECK, "verifying tables and indexes"):
                sound, missing = verify(scratch)
                self._note(amcheck=sound, amcheck_missing=missing)

    def _fetched(self, fetching: Fetching, sizes: Mapping[str, int]) -> Dump:
        place = self._folder / "backup"
        self._note(began_at=datetime.now(UTC), size=sum(sizes.values()))
        with self._measured(FETCH, f"fetching {self._query.key}", sum(sizes.values())):
            fetching.fetch(sizes, place, self._progress.advance)
            dump = identify(place, self._query.key)
            self._note(made_of=str(dump), dumped_from=dump.version)
        return dump

    def _scratch(self, programs: Programs, settings: Settings) -> AbstractContextManager[Scratch]:
        dsn = scratch_dsn(self._place)
        if dsn is None:
            return own_server(programs, settings)
        database = self._task.database
        report = partial(self._progress.send, Made(database=database))
        return scratch_database(programs, dsn, database, settings, report)

    def _restore(self, dump: Dump, scratch: Scratch) -> None:
        with self._measured(RESTORE, f"restoring {self._query.key}"):
            unpacked = unpack_archive(dump, self._progress.advance)
            self._note(missing=restore(unpacked, scratch, self._progress.advance))
            has_questions = self._query.newest or self._query.assertions
            if not has_questions and not has_relations(scratch):  # otherwise the answers show it
                raise Failed(EMPTY, "no table or view is in the restored database")

    def _ask(self, scratch: Scratch) -> None:
        with read_only_session(scratch) as session:
            if self._query.newest:
                newest = evaluate(session, Assertion(NEWEST, self._query.newest, is_time=True), self._deadline)
                self._note(newest=newest.time, newest_problem=newest.problem)
            for assertion in self._query.assertions:
                asserted = evaluate(session, assertion, self._deadline)
                self._note(assertions=(*self._known.assertions, asserted))

    @contextmanager
    def _measured(self, phase: str, what: str, total: float | None = None) -> Iterator[None]:
        """One phase: reported when it begins, and measured at every end."""
        if phase != CLEAN:
            self._phase = phase
        self._progress.send(Began(phase=phase, what=what, total=total))
        began = time.monotonic()
        try:
            yield
        finally:
            self._phases.append(Phase(name=phase, seconds=round(time.monotonic() - began, 3)))

    def _note(self, **known: Any) -> None:
        self._known = msgspec.structs.replace(self._known, **known)


def _where(error: Exception) -> str:
    """The error's type and place, without its text, which may quote data."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "opscheck" in frame.filename] or frames
    return f"{type(error).__name__} ({Path(own[-1].filename).name}:{own[-1].lineno})"
