"""The example of a team's own check: it runs as its README says."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import opscheck as opscheck_package
from opscheck import testing

ROOT = Path(__file__).parents[1]


@contextmanager
def queue(**options: int) -> Iterator[str]:
    """The example's server; yields its URL."""
    arguments = [f"--{name}={value}" for name, value in options.items()]
    process = subprocess.Popen(
        [sys.executable, "examples/server.py", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield process.stdout.readline().strip().removeprefix("export JOBS_URL=")
        finally:
            process.terminate()


def opscheck(*arguments: str, jobs_url: str = "http://127.0.0.1:1") -> subprocess.CompletedProcess[str]:
    return python("-m", "opscheck", *arguments, jobs_url=jobs_url)


def python(*arguments: str, jobs_url: str = "http://127.0.0.1:1") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"JOBS_URL": jobs_url, "COLUMNS": "120"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


RUN = ("run", "-p", "examples/queue.yaml", "examples/checks")


def test_draining_queue_passes():
    with queue(waiting=12) as url:
        done = opscheck(*RUN, jobs_url=url)

    assert "2 passed" in done.stdout
    assert 0 == done.returncode


@pytest.mark.parametrize(("waiting", "severity", "exit_code"), [(250, "P3", 0), (2500, "P1", 1)])
def test_growing_queue_has_a_severity_per_threshold(tmp_path, waiting, severity, exit_code):
    with queue(waiting=waiting) as url:
        done = opscheck(*RUN, "--fail-on", "P1", "--json", str(tmp_path / "run.json"), jobs_url=url)

    result = json.loads((tmp_path / "run.json").read_text())["results"][0]
    (finding,) = result["findings"]
    assert exit_code == done.returncode
    assert (severity, f"waiting {waiting} jobs (4 workers)") == (finding["severity"], finding["observed"])
    assert finding["since"]
    assert "kubectl scale deployment/emails-workers --replicas=8" in finding["remediation"]["commands"]


def test_bundled_checks_run_with_own_checks():
    with queue(workers=0) as url:
        done = opscheck(*RUN, jobs_url=url)

    assert "workers is 0" in done.stdout
    assert 1 == done.returncode


def test_unreachable_queue_does_not_pass():
    done = opscheck(*RUN, "--fail-on", "P1")

    assert "connection refused" in done.stdout
    assert "passed" not in done.stdout
    assert 0 != done.returncode


def test_plain_pytest_runs_the_example():
    with queue() as url:
        done = python(
            *("-m", "pytest", "--policy=examples/queue.yaml", "examples/checks", "checks", "-k", "emails", "-q"),
            jobs_url=url,
        )

    assert "1 passed" in done.stdout
    assert 0 == done.returncode


def test_schema_has_the_fields_of_a_named_folder():
    assert "acme.queue_depth" not in opscheck("schema").stdout
    assert "Maximum number of waiting jobs." in opscheck("schema", "examples/checks").stdout


def test_policy_of_the_example_is_valid():
    done = opscheck("validate", "examples/queue.yaml", "--checks", "examples/checks")

    assert (0, "") == (done.returncode, done.stderr)


def test_code_in_the_readme_runs():
    (snippet,) = re.findall(r"```python\n(.*?)```", (ROOT / "examples/README.md").read_text(), re.DOTALL)
    program = f"import runpy; exec({snippet!r}, runpy.run_path('examples/checks/test_queue.py'))"

    done = python("-c", program)

    assert (0, "") == (done.returncode, done.stderr)


MEMCACHED = ROOT / "examples" / "opscheck-memcached"


def test_external_system_passes_the_contract():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=MEMCACHED,
        env=os.environ | {"PYTHONPATH": str(MEMCACHED), "PATH": "/nowhere"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "26 passed, 4 skipped" in done.stdout


def imported(file: Path) -> set[str]:
    """What a module imports of opscheck, as `module:name`."""
    found = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Import | ast.ImportFrom)]
    plain = {alias.name for node in found if isinstance(node, ast.Import) for alias in node.names}
    named = {f"{one.module}:{alias.name}" for one in found if isinstance(one, ast.ImportFrom) for alias in one.names}
    return {name for name in plain | named if name.partition(":")[0].partition(".")[0] == "opscheck"}


def test_external_system_imports_public_names_only():
    allowed = {f"opscheck:{name}" for name in opscheck_package.__all__}
    allowed |= {f"opscheck.testing:{name}" for name in testing.__all__}
    allowed |= {f"opscheck.testing.contract:{name}" for name in ("SECRET", "SystemContract")}
    used = {name for file in MEMCACHED.rglob("*.py") for name in imported(file)}

    assert "opscheck:System" in used
    assert used <= allowed


def test_page_about_systems_lists_every_public_name():
    page = (ROOT / "docs" / "writing-a-system.md").read_text()
    names = [*opscheck_package.__all__, *testing.__all__, "SystemContract", "SECRET"]
    listed = set(re.findall(r"`(\w+)`", page))

    assert [] == [name for name in names if name not in listed]
