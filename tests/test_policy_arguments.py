"""How commands name their policy, and `-` for standard input and output."""

import json
from pathlib import Path

import click
import pytest

from opscheck.policy_arguments import divided, policy_layers

POLICY = """
version: 1
environment: here
targets: {machine: {kind: host, uri: 'local://'}}
expectations: [{id: root, check: host.disk, target: machine, mount: /, used: {P0: 99.9%}}]
"""
LAYER = "version: 1\nexpectations: [{id: root, used: {P0: 0%}}]\n"


@pytest.fixture(name="opscheck")
def _opscheck(fork_server, tmp_path, tmp_path_factory):
    """Run a command in its own process: exit code, output and errors."""
    stdin = tmp_path_factory.mktemp("input") / "stdin"

    def run(*words: str, given: str = "") -> tuple[int, str, str]:
        stdin.write_text(given)
        done = fork_server("opscheck", *words, cwd=tmp_path, stdin=str(stdin))
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.mark.parametrize("command", [["validate"], ["list"], ["permissions"], ["explain", "root"]])
@pytest.mark.parametrize("words", [["-"], ["-p", "-"]])
def test_policy_on_standard_input_is_read(opscheck, command, words):
    code, out, errors = opscheck(*command, *words, given=POLICY)

    assert (code, errors) == (0, "")
    assert {"validate": "1 expectation", "list": "root", "permissions": "machine", "explain": "root"}[command[0]] in out


@pytest.mark.parametrize("words", [["-"], ["-p", "-"]])
def test_run_reads_its_policy_from_standard_input(opscheck, words):
    code, out, errors = opscheck("run", *words, given=POLICY)

    assert code == 0, out + errors
    assert "RESULT: PASSED (exit 0): 1 passed" in out


def test_error_on_standard_input_names_the_line(opscheck):
    code, _, errors = opscheck("validate", "-", given=POLICY.replace("mount", "mont"))

    assert code == 4
    assert "<stdin>:5:" in errors


@pytest.mark.parametrize("option", ["--json", "--junit", "--save"])
def test_standard_output_has_the_file_only(opscheck, tmp_path, option):
    (tmp_path / "opscheck.yml").write_text(POLICY)
    code, out, errors = opscheck("run", option, "-")

    assert code == 0
    assert "RESULT: PASSED (exit 0)" in errors
    if option == "--junit":
        assert (out[:5], "<testcase " in out, out.rstrip()[-13:]) == ("<?xml", True, "</testsuites>")
    else:
        assert json.loads(out)["schema"].startswith("opscheck.")


def test_snapshot_goes_from_run_to_run_by_pipe(opscheck, tmp_path):
    (tmp_path / "opscheck.yaml").write_text(POLICY)
    _, snapshot, _ = opscheck("run", "--save", "-")
    code, out, _ = opscheck("run", "--from", "-", "--json", "run.json", given=snapshot)

    assert (code, json.loads((tmp_path / "run.json").read_text())["counts"]["passed"]) == (0, 1)
    assert "Judged from a snapshot" in out


def test_report_reads_a_run_record_by_pipe(opscheck, tmp_path):
    (tmp_path / "opscheck.yaml").write_text(POLICY)
    _, record, _ = opscheck("run", "--json", "-")
    code, out, _ = opscheck("report", "-", "--junit", "-", given=record)

    assert (code, out[:5], 'name="root"' in out) == (0, "<?xml", True)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["run", "--state", "-"], "--state: expected a file, got -"),
        (["run", "--json", "-", "--junit", "-"], "--json and --junit: standard output can be one file only"),
        (["run", "-", "--from", "-"], "standard input is the policy"),
        (["run", "-p", "opscheck.yaml", "opscheck.yaml"], "two policies"),
        (["list", "a.yaml", "b.yaml"], "two policies"),
        (["explain", "opscheck.yaml"], "expected one expectation id, got 0"),
        (["run", "gone"], "no such file or folder: gone"),
    ],
)
def test_impossible_files_are_refused(opscheck, tmp_path, words, text):
    (tmp_path / "opscheck.yaml").write_text(POLICY)
    code, out, errors = opscheck(*words, given=POLICY)

    assert (code, text in out + errors) == (4, True), out + errors


@pytest.mark.parametrize("name", ["opscheck.yaml", "opscheck.yml"])
def test_default_policy_is_named(opscheck, tmp_path, name):
    (tmp_path / name).write_text(POLICY)
    code, out, errors = opscheck("list")

    assert (code, "root" in out) == (0, True)
    assert errors == f"opscheck: policy {name}\n"


def test_later_layer_extends_the_earlier_one(opscheck, tmp_path):
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "strict.yaml").write_text(LAYER)
    layers = ["-p", "policy.yaml", "-p", "strict.yaml"]

    assert opscheck("run", *layers)[0] == 1
    assert "P0 <= 0%" in opscheck("explain", "root", *layers)[1]
    assert opscheck("validate", *layers)[0] == 0


def test_policies_are_told_from_checks_by_their_suffix():
    names = ["checks", "a.yaml", "own/test_x.py", "b.yml", "-"]

    assert divided(list(map(Path, names))) == (
        [Path("a.yaml"), Path("b.yml"), Path("-")],
        [Path("checks"), Path("own/test_x.py")],
    )


def test_standard_input_is_one_layer_only():
    with pytest.raises(click.UsageError, match="standard input can be read once"):
        policy_layers([Path("-"), Path("-")], [])
