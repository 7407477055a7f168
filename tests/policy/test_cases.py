"""
What users read when a policy is wrong: a case for each mistake, with the text that it must give.

A new case is a file in `cases/` and its text beside it. Cases that cannot be files are made here.
"""

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from opscheck.policy.draft import read_policy
from opscheck.policy.errors import PolicyError

CASES = Path(__file__).with_name("cases")
NAMES = sorted(path.stem for path in CASES.glob("*.yaml"))


def told(path: Path, today: date = date(2026, 3, 1)) -> str:
    """What is said of a policy, with a newline at its end."""
    with pytest.raises(PolicyError) as error:
        read_policy(path, environ={}).finish(today=today, strict=True)
    return f"{error.value}\n"


def expected(name: str) -> str:
    return (CASES / f"{name}.txt").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def among_the_cases(monkeypatch):
    # Errors name a file as it was given.
    monkeypatch.chdir(CASES)


@pytest.mark.parametrize("name", NAMES)
def test_a_broken_policy_says_what_is_wrong_where(name):
    assert expected(name) == told(Path(f"{name}.yaml"))


def test_every_expected_text_has_its_case():
    made = {"directory", "missing-file", "no-permission", "not-utf-8", "too-large", "utf-16", "control-character"}

    assert sorted({*NAMES, *made}) == sorted(path.stem for path in CASES.glob("*.txt"))


def test_20_mb_are_refused_before_they_are_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Path("too-large.yaml").open("wb") as file:
        file.truncate(20_000_000)

    assert expected("too-large") == told(Path("too-large.yaml"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("not-utf-8", b"version: 1\nenvironment: Z\xfcrich\n"),
        ("utf-16", "version: 1\n".encode("utf-16")),
        ("control-character", b"version: 1\nenvironment: prod\x1b[2J\n"),
    ],
)
def test_binary_file_is_rejected_at_its_place(name, content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(f"{name}.yaml").write_bytes(content)

    assert expected(name) == told(Path(f"{name}.yaml"))


def test_directory_is_not_a_policy():
    assert expected("directory") == told(Path("layers"))


def test_missing_file_error_suggests_a_name():
    assert expected("missing-file") == told(Path("duplicate-kye.yaml"))


def test_unreadable_file_is_reported(tmp_path):
    policy = tmp_path / "no-permission.yaml"
    policy.write_text("version: 1\n", encoding="utf-8")
    policy.chmod(0)
    # Root may read everything; without its capabilities it is held to the permissions of its own files.
    as_anybody = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    command = [*as_anybody, Path(sys.executable).with_name("opscheck"), "validate", policy.name]

    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)

    assert (4, "") == (run.returncode, run.stdout)
    assert expected("no-permission") == run.stderr


def test_command_prints_the_same_errors_and_exits_4():
    opscheck = Path(sys.executable).with_name("opscheck")
    command = [opscheck, "validate", *(f"{name}.yaml" for name in NAMES)]

    run = subprocess.run(command, cwd=CASES, capture_output=True, text=True, check=False, timeout=60)

    assert (4, "") == (run.returncode, run.stdout)
    assert "".join(map(expected, NAMES)) == run.stderr
