"""Running the policy that was written: what is violated now, and waivers for that where a person wants them."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil
from pathlib import Path

from msgspec import structs

from opscheck.core.record import Result, Verdict
from opscheck.core.redaction import Secrets
from opscheck.core.units import Duration
from opscheck.reports.read import read_run

_DAY = 86_400


@dataclass(frozen=True)
class Trial:
    """The results of a run of the policy; `failed` where it did not run."""

    results: tuple[Result, ...] = ()
    failed: str = ""

    @property
    def violated(self) -> list[Result]:
        """Violated expectations, the worst first."""
        return self._of(Verdict.VIOLATED)

    @property
    def unknown(self) -> list[Result]:
        """Expectations that could not be evaluated, the worst first."""
        return self._of(Verdict.UNKNOWN)

    def _of(self, verdict: Verdict) -> list[Result]:
        found = (one for one in self.results if one.verdict == verdict)
        return sorted(found, key=lambda one: (one.severity or "", one.id))


def tried(policy: Path, secrets: Secrets) -> Trial:
    """
    Run the policy once, in a process of its own, with no state file.

    Its exit code says nothing here: a policy is right although something is wrong with what it checks.
    """
    with tempfile.TemporaryDirectory(prefix="opscheck-init-") as folder:
        record = Path(folder) / "run.json"
        # -P: a folder that is named as a module of opscheck must not be taken for it.
        words = [sys.executable, "-P", "-m", "opscheck", "run", "-p", str(policy), "--json", str(record), "--quiet"]
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ)  # noqa: S603 - our own
        if not record.exists():
            return Trial(failed=secrets.clean(done.stderr.strip() or done.stdout.strip()))
        results = read_run(record).results
    return Trial(results=tuple(structs.replace(one, summary=secrets.clean(one.summary)) for one in results))


def waivers(trial: Trial, owner: str, last_day: date, today: date) -> Iterator[dict[str, str]]:
    """A waiver for each expectation that is violated now."""
    for result in sorted(trial.violated, key=lambda one: one.id):
        reason = f"violated when opscheck init ran on {today}: {result.summary}"
        yield {"id": result.id, "reason": reason, "owner": owner, "expires": last_day.isoformat()}


def last_day(today: date, span: Duration) -> date:
    """The last day of a waiver that begins today and is to last for `span`."""
    return today + timedelta(days=ceil(float(span) / _DAY))
