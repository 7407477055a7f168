"""One expectation as plain text."""

import re

import msgspec
import sample_runs as sample

from opscheck.core.record import Finding
from opscheck.core.units import Severity
from opscheck.reports.longrepr import failure_text


def test_violation_shows_severity_deadline_contact_and_commands():
    assert (
        failure_text(sample.CONNECTIONS)
        == """\
P0 violated: connections: Connections stay under the limit

P0 shop: connections used 95.9% (93 of 97), expected <= 90%
  | 62  integration-worker  idle in transaction, oldest 3h4m
  | 28  integration-api  idle
  respond by 2026-03-01T03:27:05Z
  call On-call Engineer at 2026-03-01T03:12:05Z, Platform Team at 2026-03-01T03:27:05Z, \
Engineering Manager at 2026-03-01T04:12:05Z
  Find the client that leaks, then restart it or raise its pool limit
    psql "${DATABASE_URL}" -c "select pid, state, state_change from pg_stat_activity \
where application_name = 'integration-worker' order by state_change limit 20"
    kubectl rollout restart deployment/integration-worker -n integration-deployment
  https://runbooks.example.com/databases/postgres/too-many-connections#find-the-client

postgres.connections on database, policies/production.yaml:88"""
    )


def test_remedy_of_equal_findings_is_shown_once():
    assert (
        failure_text(sample.PODS)
        == """\
P0 violated: pods: The application's pods run and are ready

P0 integration-api-7d9c5b-x2x8q: CrashLoopBackOff (exit code 137), expected running and ready \
(since 2026-03-01T00:59:05Z)
  respond by 2026-03-01T03:27:05Z
  call On-call Engineer at 2026-03-01T03:12:05Z, Engineering Manager at 2026-03-01T03:42:05Z
  Read why the container ended, then roll back or mend its configuration
    kubectl get events -n integration-deployment --sort-by=.lastTimestamp
    kubectl logs integration-api-7d9c5b-x2x8q -n integration-deployment --previous --tail=50

P0 integration-api-7d9c5b-k4f2m: ImagePullBackOff: registry.example.com/integration/api:2026.02.28-rc1 not found, \
expected running and ready (since 2026-02-28T02:12:05Z)
    kubectl describe pod integration-api-7d9c5b-k4f2m -n integration-deployment

P2 integration-api-7d9c5b-zz9p1: restarts in 1h 7, <= 5, expected running and ready
  respond by 2026-03-01T07:12:05Z
  call On-call Engineer at 2026-03-01T03:12:05Z, Engineering Manager at 2026-03-01T11:12:05Z

kubernetes.pods on cluster, policies/production.yaml:39"""
    )


def test_unknown_result_shows_its_reason():
    assert (
        failure_text(sample.REPLICA)
        == """\
P2 unknown: replica-connections: The replica takes connections

no answer from 10.0.7.12:5432 in 5 s; open port 5432 from this host, or run where it is open

postgres.connections on replica, policies/production.yaml:101"""
    )


def test_findings_beyond_the_limit_are_counted():
    text = failure_text(sample.MANY.results[0])

    assert "worker-020: OOMKilled" in text
    assert "worker-021: OOMKilled" not in text
    assert "\nand 5 more findings, in the run record\n" in text


def test_target_text_is_escaped_in_a_failure():
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u200b\u202e]", failure_text(sample.HOSTILE.results[0]))


def test_findings_follow_the_reason_of_unknown():
    found = Finding(subject="replica-1", severity=Severity.P3, observed="90%", expected="<= 80%")
    partly = msgspec.structs.replace(sample.REPLICA, summary="half of it did not answer", findings=(found,))

    text = failure_text(partly)

    assert text.index("half of it did not answer") < text.index("P3 replica-1: 90%, expected <= 80%")
