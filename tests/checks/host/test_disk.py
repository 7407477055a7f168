"""`host.disk` on real disks: with room, full of bytes, full of files, not mounted, not there."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from checks.host.test_disk import test_the_disk_has_room as check
from opscheck import HostTarget, Severity
from opscheck.core.findings import Findings
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.templates import expectation_facts, render
from opscheck.systems.host.disk import CHECK_MOUNT, DiskAnswer, Filesystem, HostDisk, Inodes
from opscheck.systems.host.probe import open_session
from opscheck.testing import expect, judge

HERE = HostTarget(kind="host", uri="local://")
GUIDE = {"used": {"P2": "85%", "P0": "95%"}, "inodes": {"P2": "85%", "P0": "95%"}}

BTRFS = Filesystem(
    mounted_on="/data",
    source="/dev/sdb",
    type="btrfs",
    read_only=False,
    size=100,
    used=50,
    available=50,
    inodes=Inodes(used=0, free=0),
)


@pytest.fixture(name="disk")
def _disk(tmp_path) -> Iterator[Path]:
    """A disk of 4 MiB and 50 inodes."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m,nr_inodes=50", "tmpfs", place]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"mounting is not permitted here: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def expectation(mount: str | Path, **fields: Any) -> HostDisk:
    return expect(HostDisk, HERE, mount=str(mount), **(fields or GUIDE))


def judged(mount: str | Path, **fields: Any) -> Findings:
    session = open_session(HERE, 10)
    return judge(check, expectation(mount, **fields), lambda query: session.ask(query, 10))


def judged_on(filesystem: Filesystem, **fields: Any) -> Findings:
    answer = DiskAnswer(path="/data", filesystem=filesystem)
    return judge(check, expectation("/data", **fields), lambda _query: answer)


def unknown(call: Callable[[], object]) -> Problem:
    with pytest.raises(CouldNotObserve) as raised:
        call()
    return raised.value.problem


def test_a_disk_with_room_passes_and_is_measured(disk):
    (disk / "file").write_bytes(b"x" * 2**20)
    findings = judged(disk)

    assert [] == findings.violations
    assert [("space used", 25, "%", 85), ("space free", 3 * 2**20, "B", None), ("inodes used", 4, "%", 85)] == [
        (one.name, one.value, one.unit, one.limit) for one in findings.measurements
    ]


def test_a_disk_that_is_full_is_the_worst(disk):
    (disk / "file").write_bytes(b"x" * (4 * 2**20 - 8192))
    (finding,) = judged(disk).violations

    assert (Severity.P0, str(disk)) == (finding.severity, finding.subject)
    assert "space used 99.8% (4.19MB of 4.19MB)" == finding.observed
    assert "<= 95%" == finding.expected
    assert (f"tmpfs (tmpfs) is mounted on {disk}",) == finding.evidence
    assert {"source": "tmpfs", "filesystem": "tmpfs", "mounted_on": str(disk)} == finding.facts


def test_a_disk_that_can_take_no_more_files_is_the_worst(disk):
    for number in range(48):
        (disk / str(number)).touch()
    (finding,) = judged(disk).violations

    assert (Severity.P0, "inodes used 98% (49 of 50)") == (finding.severity, finding.observed)


def test_too_little_space_left_is_a_violation(disk):
    (finding,) = judged(disk, free={"P2": "20GB", "P1": "1GB"}).violations

    assert (Severity.P1, ">= 1GB") == (finding.severity, finding.expected)
    assert "space free 4.19MB (0B of 4.19MB used)" == finding.observed


def test_unmounted_folder_is_a_violation_without_numbers(tmp_path):
    findings = judged(tmp_path)
    (finding,) = findings.violations

    assert (Severity.P0, "a mount point") == (finding.severity, finding.expected)
    assert finding.observed.startswith("not a mount point: ")
    assert CHECK_MOUNT.commands == finding.remediation.commands
    assert [] == findings.measurements


def test_folder_may_be_judged_by_its_disk(disk):
    (disk / "folder").mkdir()

    assert judged(disk / "folder", mount_point=False, **GUIDE).measurements


def test_a_path_that_is_missing_is_a_violation(tmp_path):
    (finding,) = judged(tmp_path / "gone", mount_point=False, **GUIDE).violations

    assert ("path not found", "an existing path") == (finding.observed, finding.expected)


def test_something_without_a_size_is_unknown():
    problem = unknown(lambda: judged("/proc"))

    assert (ProblemKind.UNSUPPORTED, "/proc is not a disk: proc has no size") == (problem.kind, problem.text)


def test_dynamic_inodes_never_run_out():
    findings = judged_on(BTRFS)

    assert [] == findings.violations
    assert [0.0] == [one.value for one in findings.measurements if one.name == "inodes used"]


def test_uncounted_inodes_are_unknown_when_judged():
    uncounted = Filesystem(**{name: getattr(BTRFS, name) for name in BTRFS.__struct_fields__} | {"inodes": None})

    assert ProblemKind.UNSUPPORTED == unknown(lambda: judged_on(uncounted)).kind
    assert [] == judged_on(uncounted, used={"P0": "95%"}).violations


def test_the_suggested_commands_run(disk):
    (disk / "file").write_bytes(b"x" * (4 * 2**20 - 8192))
    (finding,) = judged(disk).violations
    facts = expectation_facts(expectation(disk)) | finding.facts
    commands = [str(render(one, facts)) for one in finding.remediation.commands]

    printed = [
        subprocess.run(["sh", "-ec", one], check=True, capture_output=True, text=True, timeout=30) for one in commands
    ]

    assert ["", "", ""] == [one.stderr for one in printed]
    assert all(str(disk) in one.stdout for one in printed[:2])
