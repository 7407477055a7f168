"""The command line: what each command prints, and how it ends."""

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from opscheck.bundle import bundled
from tests.servers.interpreters import Interpreter

DAILY = bundled("policies") / "daily.yaml"
CASES = Path(__file__).parent / "policy" / "cases"
EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(name="opscheck")
def _opscheck(tmp_path, interpreter: Interpreter):
    """Run a command in an empty folder: `opscheck("list", "policy.yaml")` gives its exit code, output and errors."""

    def run(*words, cwd=tmp_path):
        done = interpreter("opscheck", *map(str, words), cwd=cwd)
        return done.returncode, done.stdout, done.stderr

    return run


COMMANDS = ["run", "init", "validate", "list", "explain", "checks", "schema", "permissions", "report", "demo"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(opscheck, command):
    code, out, _ = opscheck(command, "--help")

    assert 0 == code
    assert f"opscheck {command}" in out
    assert len(out.splitlines()) > 6


def test_exit_codes_are_in_the_help(opscheck):
    _, out, _ = opscheck("--help")

    assert "20  unknown: nothing at the gate is violated" in out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run"], "no policy: name one with -p FILE, or write opscheck.yaml"),
        (["run", "-p", "gone.yaml"], "gone.yaml"),
        (["run", "--nonsense"], "No such option"),
        (["nonsense"], "No such command"),
        (["explain", "conections", "-p", DAILY], "no expectation has the id conections; did you mean connections?"),
        (["explain", "redis.ping", "-p", DAILY], "it is a check: `opscheck checks redis.ping` describes it"),
        (["permissions", DAILY, "--target", "moon"], "no target is named moon; there are api, backups, cache"),
        (["checks", "redis.pin"], "no check is named redis.pin; did you mean redis.ping?"),
        (["checks", "redis.ping", "--uses", "opscheck-gone"], "opscheck-gone"),
        (["report", "gone.json", "--junit", "junit.xml"], "gone.json: no such file"),
        (["report", DAILY, "--junit", "junit.xml"], "not a run record"),
        (["validate", "gone.yaml"], "gone.yaml"),
        (["demo", "--break", "moon"], "moon"),
    ],
)
def test_wrong_usage_ends_with_4_and_one_clear_line(opscheck, words, says):
    code, out, errors = opscheck(*words)

    assert 4 == code
    assert says in out + errors
    assert "Traceback" not in out + errors
    assert len((out + errors).strip().splitlines()) == 1


def test_run_finds_opscheck_yaml_in_the_folder(opscheck, tmp_path):
    (tmp_path / "opscheck.yaml").write_text(
        "version: 1\nenvironment: here\n"
        "targets: {machine: {kind: host, uri: 'local://'}}\n"
        "expectations: [{id: root, check: host.disk, target: machine, mount: /, used: {P0: 99.9%}}]\n"
    )

    code, out, errors = opscheck("run", "-v")

    assert 0 == code, out + errors
    assert "root" in out


def test_command_alone_prints_its_help(opscheck):
    code, out, errors = opscheck()

    assert (0, "") == (code, errors)
    assert "Usage: " in out
    assert "Commands:" in out


def test_every_bundled_policy_is_valid_and_the_base_is_a_layer(opscheck):
    policies = sorted(bundled("policies").glob("*.yaml"))
    code, out, errors = opscheck("validate", "--allow-unset", *policies)

    assert (0, "") == (code, errors)
    assert len(policies) == out.count(", no errors")
    assert "base.yaml: a layer for other policies, no errors\n" in out


def test_validate_as_json_has_each_error_with_its_place(opscheck, tmp_path):
    (tmp_path / "wrong.yaml").write_text("version: 1\nenvironment: here\nexpectations: [{id: a, check: redis.pin}]\n")
    code, out, errors = opscheck("validate", "--json", "wrong.yaml", bundled("policies") / "base.yaml")

    document = json.loads(out)
    wrong, base = document["files"]
    assert (4, "", "opscheck.validate/v1") == (code, errors, document["schema"])
    assert ("wrong.yaml", False) == (wrong["file"], wrong["valid"])
    (error,) = wrong["errors"]
    assert ("wrong.yaml", 3, "did you mean redis.ping?") == (error["file"], error["line"], error["hint"])
    assert error["text"].startswith("wrong.yaml:3:")
    assert (True, True, []) == (base["valid"], base["layer"], base["errors"])


def test_layer_cannot_be_run(opscheck):
    code, _, errors = opscheck("run", "-p", bundled("policies") / "base.yaml")

    assert 4 == code
    assert "expectations: expected at least one" in errors


@pytest.mark.parametrize(
    ("words", "flag"), [(["--timeout", "5x"], "--timeout: "), (["--concurrency", "0"], "--concurrency: ")]
)
def test_error_names_the_flag_that_was_typed(opscheck, words, flag):
    code, out, errors = opscheck("run", "-p", bundled("policies") / "daily.yaml", *words)

    assert 4 == code
    assert f"ERROR: {flag}expected" in out + errors


def test_gate_may_be_written_in_small_letters(opscheck, tmp_path):
    (tmp_path / "opscheck.yaml").write_text(
        "version: 1\nenvironment: here\n"
        "targets: {machine: {kind: host, uri: 'local://'}}\n"
        "expectations: [{id: root, check: host.disk, target: machine, mount: /, used: {P2: 0%}}]\n"
    )

    assert 0 == opscheck("run", "--fail-on", "p1")[0]
    assert 1 == opscheck("run", "--fail-on", "p2")[0]


@pytest.mark.parametrize("words", [["list", DAILY], ["schema"], ["checks"]])
def test_output_that_cannot_be_written_is_a_clear_error(words):
    command = [sys.executable, "-m", "opscheck", *map(str, words)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, check=False, stdout=full, stderr=subprocess.PIPE, text=True)

    assert (3, "opscheck: standard output cannot be written: no space left on device\n") == (
        done.returncode,
        done.stderr,
    )


def test_checks_lists_and_describes_also_those_of_a_folder(opscheck):
    code, listed, _ = opscheck("checks", "--checks", EXAMPLES / "checks")
    described, page, _ = opscheck("checks", "acme.queue_depth", "--checks", EXAMPLES / "checks")

    assert (0, 0) == (code, described)
    assert "  redis.ping " in listed
    assert "  acme.queue_depth  Jobs are taken from the queue as fast as they come.\n" in listed
    assert page.startswith("acme.queue_depth: ")
    assert "  waiting  (limit (at most): whole number" in page


def test_list_shows_each_expectation_with_its_severities(opscheck):
    code, out, _ = opscheck("list", DAILY)

    assert 0 == code
    shown = " ".join(out.split())
    assert "connections P0,P2 postgres.connections database Connections stay under the limit" in shown
    assert "api-certificate P0,P1,P3 tls.certificate tls://${API_ENDPOINT} The API's certificate" in shown


def test_list_as_json_names_the_source_line(opscheck):
    _, out, _ = opscheck("list", DAILY, "--json")

    document = json.loads(out)
    first = document["expectations"][0]
    assert document["schema"] == "opscheck.list/v1"
    assert "api-health" == first["id"]
    assert str(DAILY) == first["source"]["file"]


CLUSTER_POLICY = bundled("policies") / "kubernetes.yaml"
KUBERNETES_IDS = [line.split()[-1] for line in CLUSTER_POLICY.read_text().splitlines() if line.startswith("  - id:")]


@pytest.mark.parametrize("name", KUBERNETES_IDS)
def test_explain_prints_every_section_for_every_kubernetes_check(opscheck, name):
    code, out, _ = opscheck("explain", name, "-p", str(CLUSTER_POLICY))

    sections = {part.splitlines()[0]: part for part in out.split("\n\n")[1:]}
    assert 0 == code
    assert {"Claim", "Limits", "Queries", "Permissions", "Remediation"} <= set(sections)
    assert "read the identity of this client" in sections["Queries"]
    assert "list" in sections["Permissions"]
    assert "$ kubectl {{ context_option }}" in sections["Remediation"]
    assert "--context" not in sections["Remediation"]  # this policy pins none


def test_explain_prints_every_section(opscheck):
    code, out, _ = opscheck("explain", "connections", "-p", DAILY)

    assert 0 == code
    for part in (
        "Claim",
        "Judged by",
        "Target",
        "P0 <= 90%",
        "postgres.sessions",
        "pg_read_all_stats",
        "psql",
        f"{DAILY}:",
    ):
        assert part in out
    assert "${DATABASE_URL}" in out


def test_explain_prints_rules_by_name(opscheck, tmp_path):
    (tmp_path / "policy.yaml").write_text(
        "version: 1\nenvironment: test\ntargets: {db: {kind: postgres, dsn: postgresql://h/shop}}\n"
        "expectations: [{id: settings, check: postgres.settings, target: db, severity: P2,"
        " settings: {fsync: on, work_mem: {at_least: 4MB, severity: P3}}, extensions: {postgis: any}}]\n"
    )

    code, out, _ = opscheck("explain", "settings", "-p", tmp_path / "policy.yaml")

    assert 0 == code
    assert "settings: fsync (on); work_mem (>= 4MB, P3)" in out
    assert "extensions: postgis (version any)" in out


def test_explain_names_answers_kept_between_runs(opscheck, tmp_path):
    (tmp_path / "test_visits.py").write_text(
        dedent("""
        from dataclasses import dataclass
        from opscheck import HttpTarget
        from opscheck.core.intervals import OverInterval
        from opscheck.systems.http.request import HttpRequest

        @dataclass(frozen=True)
        class CountVisits(HttpRequest, name="hall.visits", remembered=True):
            "Asks how many visitors there were."

        class Visits(OverInterval, check="hall.visits"):
            "Few visitors come."
            target: HttpTarget
            def queries(self):
                return [CountVisits(target=self.target.name), HttpRequest(target=self.target.name, path="/health")]

        def test_visits(expectation: Visits): "Few visitors come."
        """)
    )
    (tmp_path / "policy.yaml").write_text(
        "version: 1\nenvironment: test\ntargets: {hall: {kind: http, base_url: http://127.0.0.1:1}}\n"
        "expectations: [{id: visits, check: hall.visits, target: hall, severity: P2}]\n"
    )

    code, out, _ = opscheck("explain", "visits", "-p", tmp_path / "policy.yaml", "--checks", tmp_path)

    assert 0 == code
    assert "GET /, answered within 5s, kept in the state file\n  GET /health, answered within 5s\n" in out
    assert "interval: 1m\n  first_sample: unknown" in out


def test_explain_lists_remedies_and_the_facts_that_a_policy_may_name(opscheck, tmp_path):
    (tmp_path / "test_visits.py").write_text(
        dedent("""
        from opscheck import Expectation, Remedy
        from opscheck.core.remedy import Former

        CLOSE = Remedy("Close the door", "door close {{ door }}", "door show {{ door }}")
        OPEN = Remedy("Open another one", "door open {{ other }}")

        class Visits(Expectation, check="hall.visits"):
            "Few visitors come."
            remedies = (CLOSE, OPEN)
            fact_names = {"door": "the door's name", "other": "another door"}
            former_fact_names = {"gate": Former("door", CLOSE)}

        def test_visits(expectation: Visits): "Few visitors come."
        """)
    )
    (tmp_path / "policy.yaml").write_text(
        "version: 1\nenvironment: test\nexpectations:\n- {id: visits, check: hall.visits, severity: P2}\n"
        "- id: own\n  check: hall.visits\n  severity: P2\n  remediation: {commands: ['door paint {{ gate }}']}\n"
    )

    _, out, _ = opscheck("explain", "visits", "-p", tmp_path / "policy.yaml", "--checks", tmp_path)
    _, own, _ = opscheck("explain", "own", "-p", tmp_path / "policy.yaml", "--checks", tmp_path)

    facts = "  {{ door }}: the door's name\n  {{ other }}: another door\n"
    assert (
        "Remediation\n  Close the door\n  $ door close {{ door }}\n  $ door show {{ door }}\n"
        f"  Open another one\n  $ door open {{{{ other }}}}\n{facts}"
    ) in out
    assert f"Remediation\n  $ door paint {{{{ gate }}}}\n{facts}" in own


def test_skipped_expectation_needs_no_permission(opscheck, tmp_path):
    (tmp_path / "policy.yaml").write_text(
        f"version: 1\nenvironment: test\nextends: {CLUSTER_POLICY}\n"
        "expectations: [{id: nodes, skip: somebody else looks after them}, {id: node-usage, skip: the same}]\n"
    )

    before, after = (opscheck("permissions", str(path))[1] for path in (CLUSTER_POLICY, tmp_path / "policy.yaml"))

    assert ("- nodes" in before, "- nodes" in after) == (True, False)


def test_permissions_of_one_target_can_be_piped(opscheck):
    code, out, _ = opscheck("permissions", DAILY, "--target", "cache")

    assert 0 == code
    assert "ACL SETUSER opscheck" in out
    assert "kind: Role" not in out


def test_schema_contains_own_checks_of_a_named_folder(opscheck):
    without, with_ = (json.loads(opscheck("schema", *words)[1]) for words in ([], [EXAMPLES / "checks"]))

    assert "acme.queue_depth" not in json.dumps(without)
    assert "acme.queue_depth" in json.dumps(with_)


def test_schema_of_run_records_is_the_published_one(opscheck):
    published = Path(__file__).parents[1] / "opscheck" / "reports" / "run.v1.schema.json"

    assert json.loads(published.read_text()) == json.loads(opscheck("schema", "--run")[1])


def test_validate_counts_expectations_and_lists_errors(opscheck, tmp_path):
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(
        "version: 1\nenvironment: x\ntargets: {queue: {kind: http, base_url: 'http://q'}}\n"
        "expectations: [{id: q, check: acme.queue_depth, target: queue, queue: invoices, waiting: {P1: 5}}]\n"
    )
    bad.write_text("version: 1\nenvironment: x\nexpectations: [{id: a, check: redis.pong}]\n")

    code, out, errors = opscheck("validate", good, bad, "--checks", EXAMPLES / "checks")

    assert 4 == code
    assert "no errors" in out
    assert "bad.yaml:3:" in errors


def test_every_broken_case_prints_its_expected_text_only(opscheck):
    cases = sorted(path.name for path in CASES.glob("*.yaml"))

    code, out, errors = opscheck("validate", *cases, cwd=CASES)

    assert 4 == code
    assert "" == out
    assert "".join((CASES / name).with_suffix(".txt").read_text() for name in cases) == errors


def test_report_joins_run_records_into_one_junit_file(opscheck, tmp_path):
    (tmp_path / "opscheck.yaml").write_text(
        "version: 1\nenvironment: here\n"
        "targets: {machine: {kind: host, uri: 'local://'}}\n"
        "expectations: [{id: root, check: host.disk, target: machine, mount: /, used: {P0: 99.9%}}]\n"
    )
    opscheck("run", "--json", "run.json")

    code, out, _ = opscheck("report", "run.json", "--junit", "-")

    assert 0 == code
    assert 'name="opscheck.id" value="root"' in out.replace("'", '"')

    code, _, errors = opscheck("report", "run.json", "--junit", ".")

    assert 4 == code
    assert "--junit: . cannot be written" in errors
