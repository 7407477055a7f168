"""What a user installs: the wheel alone, in a fresh environment, with the checks and policies inside."""

import json
import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from opscheck.systems.postgres.programs import VARIABLE

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXPECTATIONS = (ROOT / "policies" / "daily.yaml").read_text().count("\n  - id: ")


@pytest.fixture(name="wheel", scope="module")
def _wheel(tmp_path_factory):
    """The wheel, built as a release builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--installer", "uv", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=240)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(name="installed", scope="module")
def _installed(wheel, tmp_path_factory):
    """The programs of a fresh environment with the wheel in it."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    uv = Path(sys.executable).with_name("uv")
    fetch = ["pip", "install", "--python", str(folder), "-c", str(ROOT / "constraints.txt"), f"{wheel}[all]"]
    for words in (["venv", str(folder), "--python", sys.executable], fetch):
        subprocess.run([uv, *words], check=True, capture_output=True, text=True, timeout=240)
    return folder / "bin"


def variables(system):
    """What the policy reads, and where the programs are that read a dump: the wheel brings none without its extra."""
    return {**system.environment.variables, VARIABLE: str(system.environment.postgres.programs / "bin")}


def test_wheel_has_checks_and_policies_inside_the_package(wheel):
    names = zipfile.ZipFile(wheel).namelist()

    assert "opscheck/checks/postgres/test_connections.py" in names
    assert "opscheck/policies/daily.yaml" in names
    assert {"opscheck", f"opscheck-{wheel.name.split('-')[1]}.dist-info"} == {name.partition("/")[0] for name in names}


def test_daily_policy_runs_from_the_wheel(installed, system):
    (policy,) = installed.parent.glob("lib/*/site-packages/opscheck/policies/daily.yaml")
    environment = {"PATH": os.environ["PATH"], "HOME": str(system.folder), **variables(system)}

    done = subprocess.run(
        [installed / "opscheck", "run", "-v", "-p", policy, "--state", system.state],
        cwd=system.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert 0 == done.returncode, done.stdout + done.stderr
    assert f"RESULT: PASSED (exit 0): {EXPECTATIONS} passed in " in done.stdout


def test_plain_pytest_finds_the_checks_in_the_wheel(installed, system):
    (policy,) = installed.parent.glob("lib/*/site-packages/opscheck/policies/daily.yaml")
    words = ["-q", "--pyargs", "opscheck.checks", f"--policy={policy}", f"--state={system.state}"]

    done = subprocess.run(
        [installed / "pytest", *words],
        cwd=system.folder,
        env={**os.environ, **variables(system)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert 0 == done.returncode, done.stdout + done.stderr
    assert f"{EXPECTATIONS} passed" in done.stdout


@pytest.fixture(name="empty")
def _empty(tmp_path):
    """An empty folder with the policy that README shows."""
    (shown,) = re.findall(r"```yaml\n(# production.yaml\n.*?)```", README, re.DOTALL)
    (tmp_path / "production.yaml").write_text(shown)
    return tmp_path


def command_in_readme(word: str) -> list[str]:
    """The one command of README's table that contains `word`."""
    commands = re.findall(r"^\|[^|]+\| `([^`]+)` \|", README, re.MULTILINE)
    (command,) = [one for one in commands if word in one]
    return shlex.split(command)


@pytest.mark.parametrize(
    ("word", "judged"),
    [("--tag gate", {"api-health"}), ("--junit", {"api-health", "connections"}), ("pytest", {"connections"})],
)
def test_command_of_the_readme_runs_from_the_wheel_in_an_empty_folder(installed, system, empty, word, judged):
    program, *words = command_in_readme(word)
    record = empty / "run.json"
    option = f"--run-json={record}" if program == "pytest" else f"--json={record}"

    done = subprocess.run(
        [installed / program, *words, option],
        cwd=empty,
        env={"PATH": os.environ["PATH"], "HOME": str(system.folder), **variables(system)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    run = json.loads(record.read_text())
    assert done.returncode == 0, done.stdout + done.stderr
    assert {result["id"]: result["verdict"] for result in run["results"]} == dict.fromkeys(judged, "passed")


@pytest.mark.parametrize(
    "command",
    [
        ["pytest", "--policy=production.yaml", "-k", "api-health"],
        ["opscheck", "run", "-p", "production.yaml", "-k", "api-health"],
    ],
)
def test_keyword_selects_exactly_the_named_expectation(installed, system, empty, command):
    record = empty / "run.json"
    option = f"--run-json={record}" if command[0] == "pytest" else f"--json={record}"

    done = subprocess.run(
        [installed / command[0], *command[1:], option],
        cwd=empty,
        env={"PATH": os.environ["PATH"], "HOME": str(system.folder), **variables(system)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    run = json.loads(record.read_text())
    assert done.returncode == 0, done.stdout + done.stderr
    assert [result["id"] for result in run["results"]] == ["api-health"]


def test_demo_without_its_extra_names_the_extra(installed, system):
    done = subprocess.run(
        [installed / "opscheck", "demo"], cwd=system.folder, capture_output=True, text=True, timeout=60, check=False
    )

    assert 4 == done.returncode
    assert 'pip install "opscheck[demo]"' in done.stdout + done.stderr
