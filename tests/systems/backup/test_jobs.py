"""What a policy may say of the tools that make backups."""

from importlib import import_module
from typing import Any

import pytest
from pydantic import ValidationError

from opscheck import HostTarget, KubernetesTarget, RedisTarget, Severity
from opscheck.core.remedy import Remedy
from opscheck.core.target import Target
from opscheck.systems.backup.jobs import BackupJobs
from opscheck.systems.backup.tools import ReadBarman, ReadPgbackrest
from opscheck.systems.backup.velero import ListStorageLocations, ListVeleroBackups, ListVeleroSchedules
from opscheck.systems.kubernetes.api_server import ReadIdentity
from opscheck.systems.kubernetes.batch import ListCronJobs, ListJobs
from opscheck.systems.kubernetes.events import ListWarnings
from opscheck.testing import expect

CLUSTER = KubernetesTarget(kind="kubernetes", namespace="shop")
HOST = HostTarget(kind="host", uri="local://")


def jobs(tool: str, target: Target = CLUSTER, **fields: Any) -> BackupJobs:
    return expect(BackupJobs, target, **{"tool": tool, "age": {"P2": "25h", "P0": "49h"}} | fields)


def refused(tool: str, target: Target = CLUSTER, **fields: Any) -> str:
    with pytest.raises(ValidationError) as raised:
        jobs(tool, target, **fields)
    return str(raised.value)


@pytest.mark.parametrize(
    ("tool", "target", "kinds"),
    [("cronjob", HOST, "kubernetes"), ("velero", HOST, "kubernetes"), ("pgbackrest", CLUSTER, "host")],
)
def test_a_tool_is_asked_where_it_is(tool, target, kinds):
    said = refused(tool, target)

    assert f"a target of kind {kinds} for the tool {tool}; target is of kind {target.kind}" in said


def test_other_targets_have_no_backup_tools():
    cache = RedisTarget(kind="redis", url="redis://cache")

    assert "a target of kind host or kubernetes; target is of kind redis" in refused("cronjob", cache)


@pytest.mark.parametrize(
    ("tool", "target", "field", "value", "whose"),
    [
        ("cronjob", CLUSTER, "stanzas", ["main"], "pgbackrest"),
        ("velero", CLUSTER, "script_lint", True, "cronjob"),
        ("pgbackrest", HOST, "servers", ["main"], "barman"),
        ("pgbackrest", HOST, "namespace", "shop", "cronjob and velero"),
        ("barman", HOST, "repositories", [1], "pgbackrest"),
        ("cronjob", CLUSTER, "copies", {"P3": 2}, "velero and pgbackrest and barman"),
    ],
)
def test_a_field_of_another_tool_is_refused(tool, target, field, value, whose):
    assert f"no `{field}` with `tool: {tool}`; it is for {whose}" in refused(tool, target, **{field: value})


@pytest.mark.parametrize("command", ["", "   ", "'"])
def test_a_command_must_be_one(command):
    assert "a command" in refused("barman", HOST, command=command)


def test_an_age_is_required():
    with pytest.raises(ValidationError, match="age"):
        expect(BackupJobs, CLUSTER, tool="cronjob")


def test_a_number_that_nothing_can_be_below_is_not_a_limit():
    assert "more than 0" in refused("velero", copies={"P2": 0})


def test_each_tool_asks_its_own():
    velero = {ListVeleroSchedules, ListVeleroBackups, ListStorageLocations, ReadIdentity}

    assert {ListCronJobs, ListJobs, ReadIdentity, ListWarnings} == {type(one) for one in jobs("cronjob").described()}
    assert velero == {type(one) for one in jobs("velero").described()}
    assert [ReadPgbackrest("target")] == list(jobs("pgbackrest", HOST).queries())
    assert [ReadBarman("target", servers=("a",))] == list(jobs("barman", HOST, servers=["a"]).queries())


def test_velero_is_looked_for_where_it_is_installed_by_default():
    assert {"velero"} == {one.namespace for one in jobs("velero").queries()}
    assert {"shop"} == {one.namespace for one in jobs("cronjob").queries()}
    assert {"backups"} == {one.namespace for one in jobs("velero", namespace="backups").queries()}


def test_a_command_is_split_as_a_shell_does():
    asked = jobs("pgbackrest", HOST, command="sudo -u postgres '/opt/a b/pgbackrest'")

    assert ("sudo", "-u", "postgres", "/opt/a b/pgbackrest") == asked.pgbackrest.command


def test_programs_have_more_time_than_an_api():
    assert (30, None) == (jobs("barman", HOST).timeout, jobs("cronjob").timeout)
    assert 90 == jobs("barman", HOST, timeout="90s").timeout


def test_ungraded_condition_has_its_own_or_the_worst_severity():
    graded, said = jobs("velero"), jobs("velero", severity="P1")

    assert (Severity.P2, Severity.P0) == (graded.mild_severity, graded.ungraded_severity)
    assert (Severity.P1, Severity.P1, Severity.P0) == (
        said.mild_severity,
        said.ungraded_severity,
        said.worst_severity,
    )


@pytest.mark.parametrize("tool", ["cronjob", "velero", "pgbackrest", "barman"])
def test_only_commands_of_the_tool_are_suggested(tool):
    used = vars(import_module(f"opscheck.systems.backup.{tool}_backups")).values()
    commands = [command for one in used if isinstance(one, Remedy) for command in one.commands]

    assert commands
    assert set(commands) < {command for one in BackupJobs.remedies for command in one.commands}
    assert {"kubectl" if tool == "cronjob" else tool} >= {one.split()[0] for one in commands} - {"kubectl"}
