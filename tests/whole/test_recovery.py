"""The shipped policy of recovery on the demo's backups: restored for real, lost and spoiled, and without a secret."""

from contextlib import contextmanager
from textwrap import dedent

import pytest

from opscheck.bundle import bundled

RECOVERY = bundled("policies") / "recovery.yaml"
FETCHED_TO_CLEANED = ["fetch", "start", "restore", "assert", "clean"]


@contextmanager
def without_backups(environment):
    """No dump for hours, the last one cut off, and a configuration of 20 bytes."""
    environment.break_("backups")
    try:
        yield
    finally:
        environment.repair("backups")


def result(outcome, name):
    """What is told of one expectation."""
    (found,) = [one for one in outcome.run["results"] if one["id"] == name]
    return found


def test_run_without_drill_restores_nothing_and_judges_the_rest(system):
    outcome = system.judge(policy=RECOVERY)

    assert 0 == outcome.ret, outcome.out
    assert "skipped" == outcome.verdicts["database-drill"]
    assert {"passed"} == {verdict for name, verdict in outcome.verdicts.items() if name != "database-drill"}


def test_drill_of_the_newest_backup_passes_with_measured_phases(system):
    outcome = system.judge("--drill", "-v", policy=RECOVERY)

    assert 0 == outcome.ret, outcome.out
    drill = {one["name"]: one for one in result(outcome, "database-drill")["measurements"]}
    assert all(drill[f"phase {phase}"]["value"] > 0 for phase in FETCHED_TO_CLEANED)
    assert (1800, 3600, 3600) == tuple(
        drill[name]["limit"] for name in ("recovered in", "age of the data", "age of the newest row")
    )
    assert drill["recovered in"]["value"] < 1800
    assert drill["workflows"]["value"] >= 1000
    assert 0 == drill["executions of no workflow"]["value"]
    assert "phase restore" in " ".join(outcome.out.split())


def test_lost_and_damaged_backups_are_reported_by_their_checks(system):
    with without_backups(system.environment):
        outcome = system.judge("--drill", policy=RECOVERY)

    untouched = ["database-wal", "application-rollout", "shipped-logs", "backup-bucket"]
    observed = {
        name: " ".join(finding["observed"] for finding in result(outcome, name)["findings"])
        for name in outcome.verdicts
        if name not in untouched
    }
    assert 1 == outcome.ret
    assert untouched == [name for name, verdict in outcome.verdicts.items() if verdict == "passed"]
    assert "age of the newest backup 5h" in observed["database-backup"]
    assert "end of file" in observed["database-backup-content"]
    assert "sha256" in observed["database-backup-content"]
    assert "no larger than a file with nothing in it" in observed["configuration-backup"]
    assert "nothing is in it" in observed["configuration-backup-content"]
    assert observed["database-drill"].startswith("restore: pg_restore: could not read")


def test_repaired_backups_pass_again(system):
    with without_backups(system.environment):
        assert 1 == system.judge(policy=RECOVERY).ret

    assert 0 == system.judge("--drill", policy=RECOVERY).ret


def test_rows_older_than_the_rpo_are_a_violation(system):
    policy = system.folder / "strict.yaml"
    policy.write_text(
        dedent(f"""
            version: 1
            extends: {RECOVERY}
            expectations:
              - {{id: database-drill, age: {{P2: 1ms}}}}
            """)
    )

    outcome = system.judge("--drill", "--only", "database-drill", policy=policy)

    found = result(outcome, "database-drill")
    assert (1, "violated", "P2") == (outcome.ret, found["verdict"], found["severity"])
    assert any("newest row" in finding["observed"] for finding in found["findings"]), found["findings"]
    assert any("recovered in" == one["name"] for one in found["measurements"])


@pytest.mark.parametrize("state", ["healthy", "broken"])
def test_secret_or_row_is_in_no_output_of_a_drill(system, state):
    variables = system.environment.variables
    words = ["--drill", "-v", "--junit", "junit.xml", "--save", "snapshot.json"]
    if state == "healthy":
        outcome = system.judge(*words, policy=RECOVERY)
    else:
        with without_backups(system.environment):
            outcome = system.judge(*words, policy=RECOVERY)

    written = [outcome.out.encode(), *(path.read_bytes() for path in system.folder.iterdir())]
    assert (0 if state == "healthy" else 1) == outcome.ret, outcome.out
    assert 5 == len(written)
    for planted in (variables["AWS_SECRET_ACCESS_KEY"], "step done", "workflow 12", "PRIVATE KEY"):
        assert 0 == sum(text.count(planted.encode()) for text in written), planted
