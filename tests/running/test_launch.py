"""What may and what may not change an `opscheck run`: the files and packages around it."""

import json
import os
from textwrap import dedent

import pytest

from tests.servers.interpreters import Interpreter

CHECK = '''
from opscheck import Expectation


class Door(Expectation, check="tank.door"):
    """The door is shut."""


def test_door_is_shut(expectation: Door) -> None:
    """The door is shut."""
'''

POLICY = """
version: 1
environment: test
expectations:
  - {id: door, check: tank.door, severity: P1}
"""


@pytest.fixture(name="folder")
def _folder(tmp_path):
    """`here/` to run in, with a policy and `checks/`, beside other things."""
    checks = tmp_path / "here" / "checks"
    checks.mkdir(parents=True)
    (checks / "test_tank.py").write_text(CHECK)
    (tmp_path / "here" / "policy.yaml").write_text(POLICY)
    return tmp_path


@pytest.fixture(name="run")
def _run(folder, interpreter: Interpreter):
    """`opscheck run` in `folder/here`: its exit code, its output, and the verdicts of its record."""

    def run(*checks, **variables):
        here = folder / "here"
        (here / "run.json").unlink(missing_ok=True)
        words = ["opscheck", "run", "-p", "policy.yaml", "--json", "run.json", *checks]
        done = interpreter(*words, cwd=here, env=os.environ | variables)
        record = here / "run.json"
        results = json.loads(record.read_bytes())["results"] if record.exists() else []
        return done.returncode, done.stdout + done.stderr, {result["id"]: result["verdict"] for result in results}

    return run


def test_a_folder_of_checks_is_judged(folder, run):
    exit_code, output, verdicts = run("checks")

    assert {"door": "passed"} == verdicts, output
    assert 0 == exit_code


@pytest.mark.parametrize("name", ["../here/checks", "checks/test_tank.py", "checks/../checks/test_tank.py"])
def test_checks_may_be_named_in_any_way(folder, run, name):
    _, output, verdicts = run(name)

    assert {"door": "passed"} == verdicts, output


def test_checks_may_be_outside_the_current_folder(folder, run):
    (folder / "here" / "checks").rename(folder / "elsewhere")

    _, output, verdicts = run(str(folder / "elsewhere"))

    assert {"door": "passed"} == verdicts, output


def test_checks_folder_may_be_a_link(folder, run):
    (folder / "link").symlink_to(folder / "here" / "checks")

    _, output, verdicts = run("../link")

    assert {"door": "passed"} == verdicts, output


def test_nested_folders_judge_each_check_once(folder, run):
    exit_code, output, verdicts = run(".", "checks")

    assert {"door": "passed"} == verdicts, output
    assert 0 == exit_code


def test_no_conftest_above_the_run_is_loaded(folder, run):
    (folder / "conftest.py").write_text("raise SystemExit('loaded')")

    _, output, verdicts = run("checks")

    assert {"door": "passed"} == verdicts, output


def test_a_conftest_of_the_checks_is_loaded(folder, run):
    (folder / "here" / "checks" / "conftest.py").write_text("raise SystemExit('loaded')")

    _, output, verdicts = run("checks")

    assert {} == verdicts
    assert "loaded" in output


def test_import_error_of_a_check_ends_the_run(folder, run):
    (folder / "here" / "checks" / "test_wrong.py").write_text("import there_is_no_such_module")

    exit_code, output, verdicts = run("checks")

    assert (2, {}) == (exit_code, verdicts)
    assert "checks/test_wrong.py:1" in output
    assert "No module named 'there_is_no_such_module'" in output


def test_no_pytest_configuration_near_the_run_is_read(folder, run):
    (folder / "here" / "pytest.ini").write_text("[pytest]\naddopts = --deselect=checks/test_tank.py -k nothing\n")

    _, output, verdicts = run("checks")

    assert {"door": "passed"} == verdicts, output


@pytest.mark.parametrize("asked", ["--collect-only", "-k nothing", "--deselect=checks/test_tank.py", "--version"])
def test_pytest_addopts_of_the_environment_is_ignored(run, asked):
    exit_code, output, verdicts = run("checks", PYTEST_ADDOPTS=asked)

    assert (0, {"door": "passed"}) == (exit_code, verdicts), output


def test_installed_plugin_is_not_loaded(folder, run):
    package = folder / "installed" / "skipper-1.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: skipper\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[pytest11]\nskipper = skipper\n")
    skipper = """
        import pytest

        def pytest_runtest_setup(item):
            pytest.skip("by a plugin")
    """
    (folder / "installed" / "skipper.py").write_text(dedent(skipper))

    _, output, verdicts = run("checks", PYTHONPATH=str(folder / "installed"))

    assert {"door": "passed"} == verdicts, output


def test_named_plugin_is_loaded(folder, run):
    (folder / "named.py").write_text("import pytest\n\n\n@pytest.fixture\ndef key():\n    return 'fits'\n")
    check = CHECK.replace("expectation: Door", "expectation: Door, key") + '    assert key == "fits"\n'
    (folder / "here" / "checks" / "test_tank.py").write_text(check)

    _, output, verdicts = run("checks", PYTHONPATH=str(folder), PYTEST_PLUGINS="named")

    assert {"door": "passed"} == verdicts, output
