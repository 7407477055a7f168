"""Runs that a report must be able to show: everything at once, all well, nothing at all."""

from datetime import UTC, datetime, timedelta

import msgspec

from opscheck.core.record import (
    Advice,
    Call,
    Counts,
    Finding,
    GateNote,
    Measurement,
    PolicyNote,
    Result,
    Run,
    Source,
    Verdict,
    WaiverNote,
)
from opscheck.core.units import Severity

NOW = datetime(2026, 3, 1, 3, 12, 5, tzinfo=UTC)
POLICY = "policies/production.yaml"


def calls(*steps: tuple[int, str]) -> tuple[Call, ...]:
    """Who is called, each so many minutes from now."""
    return tuple(Call(at=NOW + timedelta(minutes=minutes), notify=notify) for minutes, notify in steps)


def finding(subject: str, severity: Severity, observed: str, expected: str, **more: object) -> Finding:
    """A finding with the deadline and the people of the guide's table."""
    minutes = {"P0": 15, "P1": 60, "P2": 240, "P3": 1440}[severity.value]
    given = {"escalate": calls((0, "On-call Engineer"), (2 * minutes, "Engineering Manager"))} | more
    return Finding(
        subject=subject,
        severity=severity,
        observed=observed,
        expected=expected,
        respond_by=NOW + timedelta(minutes=minutes),
        **given,
    )


CONNECTIONS = Result(
    id="connections",
    check="postgres.connections",
    title="Connections stay under the limit",
    target="database",
    tags=("daily", "gate", "resource-exhaustion"),
    owner="data-platform",
    severity=Severity.P0,
    verdict=Verdict.VIOLATED,
    summary="shop: connections used 95.9% (93 of 97), expected <= 90%",
    measurements=(
        Measurement(name="connections used", value=95.876, unit="%", limit=90.0, margin=-5.876, subject="shop"),
        Measurement(name="connections left", value=4, subject="shop"),
    ),
    findings=(
        finding(
            "shop",
            Severity.P0,
            "connections used 95.9% (93 of 97)",
            "<= 90%",
            evidence=("62  integration-worker  idle in transaction, oldest 3h4m", "28  integration-api  idle"),
            escalate=calls((0, "On-call Engineer"), (15, "Platform Team"), (60, "Engineering Manager")),
            facts={"application": "integration-worker"},
            remediation=Advice(
                summary="Find the client that leaks, then restart it or raise its pool limit",
                commands=(
                    (
                        'psql "${DATABASE_URL}" -c "select pid, state, state_change from pg_stat_activity'
                        " where application_name = 'integration-worker' order by state_change limit 20\""
                    ),
                    "kubectl rollout restart deployment/integration-worker -n integration-deployment",
                ),
                runbook="https://runbooks.example.com/databases/postgres/too-many-connections#find-the-client",
            ),
        ),
    ),
    observed_at=NOW,
    duration_s=0.012,
    source=Source(file=POLICY, line=88),
)


def _pod(name: str, severity: Severity, observed: str, since: datetime | None, *commands: str) -> Finding:
    return finding(
        name,
        severity,
        observed,
        "running and ready",
        since=since,
        remediation=Advice(
            summary="Read why the container ended, then roll back or mend its configuration",
            commands=("kubectl get events -n integration-deployment --sort-by=.lastTimestamp", *commands),
        ),
    )


PODS = Result(
    id="pods",
    check="kubernetes.pods",
    title="The application's pods run and are ready",
    target="cluster",
    tags=("daily", "gate", "system-down"),
    owner="operations",
    severity=Severity.P0,
    verdict=Verdict.VIOLATED,
    summary="integration-api-7d9c5b-x2x8q: CrashLoopBackOff (exit code 137), expected running and ready, and 2 more",
    measurements=(Measurement(name="ready pods", value=1, limit=3, margin=-2),),
    findings=(
        _pod(
            "integration-api-7d9c5b-x2x8q",
            Severity.P0,
            "CrashLoopBackOff (exit code 137)",
            NOW - timedelta(hours=2, minutes=13),
            "kubectl logs integration-api-7d9c5b-x2x8q -n integration-deployment --previous --tail=50",
        ),
        _pod(
            "integration-api-7d9c5b-k4f2m",
            Severity.P0,
            "ImagePullBackOff: registry.example.com/integration/api:2026.02.28-rc1 not found",
            NOW - timedelta(days=1, hours=1),
            "kubectl describe pod integration-api-7d9c5b-k4f2m -n integration-deployment",
        ),
        _pod("integration-api-7d9c5b-zz9p1", Severity.P2, "restarts in 1h 7, <= 5", None),
    ),
    source=Source(file=POLICY, line=39),
)

REPLICA = Result(
    id="replica-connections",
    check="postgres.connections",
    title="The replica takes connections",
    target="replica",
    severity=Severity.P2,
    verdict=Verdict.UNKNOWN,
    summary="no answer from 10.0.7.12:5432 in 5 s; open port 5432 from this host, or run where it is open",
    duration_s=5.0,
    source=Source(file=POLICY, line=101),
)
BLOCKED = tuple(
    Result(
        id=name,
        check="postgres.replication",
        title="The replica follows",
        target="replica",
        severity=severity,
        verdict=Verdict.UNKNOWN,
        blocked_by="replica-connections",
        summary="blocked by replica-connections: no answer from 10.0.7.12:5432 in 5 s",
        source=Source(file=POLICY, line=line),
    )
    for name, severity, line in (("replica-lag", Severity.P1, 107), ("replica-slots", Severity.P2, 113))
)

BACKUPS = Result(
    id="backup-age",
    check="s3.freshness",
    title="A backup of today is there",
    target="backups",
    severity=Severity.P1,
    verdict=Verdict.VIOLATED,
    summary="s3://backups/daily/: newest object 2d1h, expected <= 26h",
    findings=(finding("s3://backups/daily/", Severity.P1, "newest object 2d1h", "<= 26h"),),
    waiver=WaiverNote(reason="bucket is being moved, CHG-1187", owner="maria", expires="2026-02-20", expired=True),
    source=Source(file=POLICY, line=120),
)

ERRORS = Result(
    id="errors",
    check="kubernetes.logs",
    title="The application logs few errors",
    target="cluster",
    severity=Severity.P3,
    verdict=Verdict.VIOLATED,
    advisory=True,
    summary="app=integration-deployment: error lines in 24h 41, expected <= 10",
    measurements=(Measurement(name="error lines in 24h", value=41, unit="lines", limit=10, margin=-31),),
    findings=(
        finding(
            "app=integration-deployment",
            Severity.P3,
            "error lines in 24h 41",
            "<= 10",
            evidence=(
                "29x  ERROR connection to \x1b[31mredis\x1b[0m lost, retrying in <n>s",
                "12x  ERROR 注文 <n> を処理できません: upstream answered 502 Bad Gateway after <n> ms and gave up",
            ),
        ),
    ),
    source=Source(file=POLICY, line=70),
)

CERTIFICATE = Result(
    id="api-certificate",
    check="tls.certificate",
    title="The certificate is valid for a while",
    severity=Severity.P1,
    verdict=Verdict.WAIVED,
    summary="api.example.com:443: remaining 5d3h, expected >= 7d",
    findings=(finding("api.example.com:443", Severity.P1, "remaining 5d3h", ">= 7d"),),
    waiver=WaiverNote(reason="renewal booked, CHG-1234", owner="maria", expires="2026-03-09"),
    source=Source(file=POLICY, line=130),
)

SKIPPED = Result(
    id="canary-pods",
    check="kubernetes.pods",
    title="The canary's pods run",
    target="cluster",
    verdict=Verdict.SKIPPED,
    summary="no canary is deployed in this environment",
    source=Source(file=POLICY, line=142),
)

PASSED = (
    Result(
        id="api-health",
        check="http.response",
        title="The API says that it is healthy",
        target="api",
        verdict=Verdict.PASSED,
        measurements=(Measurement(name="latency", value=0.0234, unit="s", limit=1.0, margin=0.9766),),
        observed_at=NOW,
        duration_s=0.0234,
        source=Source(file=POLICY, line=20),
    ),
    Result(
        id="node-usage",
        check="kubernetes.usage",
        title="The nodes have room",
        target="cluster",
        verdict=Verdict.PASSED,
        measurements=tuple(
            Measurement(name="memory", value=value, unit="%", limit=85.0, margin=85.0 - value, subject=f"node-{number}")
            for number, value in ((1, 71.2), (2, 81.5), (3, 40.0))
        ),
        source=Source(file=POLICY, line=50),
    ),
    Result(
        id="configuration",
        check="acme.configuration",
        title="The configuration is the one that was reviewed",
        verdict=Verdict.PASSED,
        source=Source(file=POLICY, line=60),
    ),
)


def run_of(*results: Result, fail_on: str = "P3", exit_code: int = 0, **more: object) -> Run:
    """A run with these results; its counts are right unless given."""
    verdicts = [one.verdict for one in results]
    counts = Counts(
        declared=len(results), reported=len(results), **{verdict.value: verdicts.count(verdict) for verdict in Verdict}
    )
    given = {"counts": counts, "observed_at": NOW, "environment": "production"} | more
    return Run(
        policy=PolicyNote(path=POLICY, sha256="5f1c" * 16),
        started_at=NOW - timedelta(seconds=5, milliseconds=300),
        finished_at=NOW + timedelta(milliseconds=21),
        duration_s=5.321,
        gate=GateNote(fail_on=fail_on, open=exit_code == 0, exit_code=exit_code),
        results=results,
        **given,
    )


EVERYTHING = run_of(
    PASSED[0],
    PODS,
    PASSED[1],
    ERRORS,
    CONNECTIONS,
    REPLICA,
    *BLOCKED,
    BACKUPS,
    CERTIFICATE,
    SKIPPED,
    PASSED[2],
    fail_on="P2",
    exit_code=1,
    notices=(
        "the waiver of backup-age expired on 2026-02-20",
        "the waiver of api-certificate expires on 2026-03-09, in 8 days",
    ),
)
ALL_WELL = run_of(*PASSED)
ONLY_UNKNOWN = run_of(PASSED[0], REPLICA, *BLOCKED, exit_code=20)
NOTHING = run_of(exit_code=21)
MANY = run_of(
    msgspec.structs.replace(
        PODS,
        findings=tuple(
            _pod(
                f"worker-{number:03}",
                Severity.P0,
                "OOMKilled",
                NOW - timedelta(minutes=number),
                f"kubectl describe pod worker-{number:03}",
            )
            for number in range(1, 26)
        ),
    ),
    exit_code=1,
)
HOSTILE = run_of(
    msgspec.structs.replace(
        CONNECTIONS,
        title="Names are data \x1b]0;owned\x07",
        findings=(
            finding(
                "pod-\u202egnp.exe\u200b\x1b[2J",
                Severity.P0,
                "line one\nline two\r\x1b[31mred " + "x" * 600,
                "注文サービスは三秒以内に応答します。" * 6,
                evidence=("\x1b[8mhidden\x1b[0m\nsecond\tline " + "y" * 200,),
                remediation=Advice(summary="Do\x07 it", commands=("echo 'a\x1b[31m'", "cat <<E\nbody\nE")),
            ),
        ),
    ),
    exit_code=1,
)
