"""What a user installs: the wheel alone, in a fresh environment, with the checks and policies inside."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from opscheck.systems.postgres.programs import VARIABLE

ROOT = Path(__file__).parents[2]
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


def test_the_wheel_holds_checks_and_policies_inside_the_package_and_nothing_beside_it(wheel):
    names = zipfile.ZipFile(wheel).namelist()

    assert "opscheck/checks/postgres/test_connections.py" in names
    assert "opscheck/policies/daily.yaml" in names
    assert {"opscheck", f"opscheck-{wheel.name.split('-')[1]}.dist-info"} == {name.partition("/")[0] for name in names}


def test_the_daily_policy_runs_from_the_wheel(installed, system):
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
    assert f"{EXPECTATIONS} expectations: {EXPECTATIONS} passed" in done.stdout


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


def test_the_demo_without_its_extra_says_what_to_install(installed, system):
    done = subprocess.run(
        [installed / "opscheck", "demo"], cwd=system.folder, capture_output=True, text=True, timeout=60, check=False
    )

    assert 4 == done.returncode
    assert 'pip install "opscheck[demo]"' in done.stdout + done.stderr
