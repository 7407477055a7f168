"""Names that policies of earlier versions use in their commands: each has a value beside the remedy it stood for."""

import sys
from collections.abc import Iterator

import pytest

from opscheck import RedisTarget
from opscheck.core.expectation import Expectation
from opscheck.core.registry import Registry
from opscheck.core.remedy import Remedy
from opscheck.running.advice import _facts
from opscheck.systems.stores.target import S3Target

KINDS = Registry.bundled().expectation_types()
CACHE = RedisTarget(kind="redis", url="redis://cache")

FORMER = {
    "backup.bucket": {
        "public": "PUBLIC",
        "own_public": "PUBLIC",
        "open": "UNBLOCKED",
        "own_open": "UNBLOCKED",
        "unversioned": "UNVERSIONED",
        "own_unversioned": "UNVERSIONED",
        "unlocked": "UNLOCKED",
        "own_unlocked": "UNLOCKED",
        "unencrypted": "UNENCRYPTED",
        "own_unencrypted": "UNENCRYPTED",
        "unreplicated": "UNREPLICATED",
        "own_unreplicated": "UNREPLICATED",
        "ruled": "RULES",
        "own_ruled": "RULES",
    },
    "backup.content": {
        "listed": "LIST_BUCKET",
        "own_listed": "LIST_BUCKET",
        "archive": "BROKEN_ARCHIVE",
        "own_archive": "BROKEN_ARCHIVE",
        "archive_file": "BROKEN_ARCHIVE_FILE",
        "differing": "DIFFERING",
        "own_differing": "DIFFERING",
        "differing_file": "DIFFERING_FILE",
        "dump_again": "DUMP",
        "gzip_broken": "BROKEN_PACKED.gzip",
        "own_gzip_broken": "BROKEN_PACKED.gzip",
        "gzip_broken_file": "BROKEN_PACKED_FILE.gzip",
        "gzip_again": "DUMP_PACKED.gzip",
        "zstd_broken": "BROKEN_PACKED.zstd",
        "own_zstd_broken": "BROKEN_PACKED.zstd",
        "zstd_broken_file": "BROKEN_PACKED_FILE.zstd",
        "zstd_again": "DUMP_PACKED.zstd",
        "xz_broken": "BROKEN_PACKED.xz",
        "own_xz_broken": "BROKEN_PACKED.xz",
        "xz_broken_file": "BROKEN_PACKED_FILE.xz",
        "xz_again": "DUMP_PACKED.xz",
        "bzip2_broken": "BROKEN_PACKED.bzip2",
        "own_bzip2_broken": "BROKEN_PACKED.bzip2",
        "bzip2_broken_file": "BROKEN_PACKED_FILE.bzip2",
        "bzip2_again": "DUMP_PACKED.bzip2",
        "lz4_broken": "BROKEN_PACKED.lz4",
        "own_lz4_broken": "BROKEN_PACKED.lz4",
        "lz4_broken_file": "BROKEN_PACKED_FILE.lz4",
        "lz4_again": "DUMP_PACKED.lz4",
        "new_file": "PUBLISH",
        "own_new_file": "PUBLISH",
        "own_published": "PUBLISH",
    },
    "backup.jobs": {
        "suspended": "RESUME",
        "rerun_of": "RUN_NOW",
        "scripted": "CRONJOB_SCRIPT",
        "run_schedule": "SCHEDULE_RUN",
        "paused_schedule": "SCHEDULE_PAUSED",
        "stale_stanza": "STANZA_BACKUP",
        "full_stanza": "STANZA_FULL",
        "damaged_stanza": "STANZA_DAMAGED",
        "missing_stanza": "STANZA_MISSING",
        "stale_repository": "STANZA_BACKUP",
        "full_repository": "STANZA_FULL",
        "damaged": "STANZA_DAMAGED",
        "stale_server": "SERVER_BACKUP",
        "failed_server": "SERVER_FAILED",
        "missing_server": "SERVER_MISSING",
        "failed": "SERVER_FAILED",
    },
    "backup.objects": {
        "listed": "",
        "own_listed": "",
        "small": "SMALL",
        "own_small": "SMALL",
        "frozen": "ARCHIVED",
        "own_frozen": "ARCHIVED",
        "deleted": "DELETED",
        "own_deleted": "DELETED",
        "upload": "UNFINISHED",
        "own_upload": "UNFINISHED",
    },
    "kubernetes.autoscaling": {
        "maxed": "HIGHER_MAXIMUM",
        "unmeasured": "METRICS",
        "ambiguous": "SAME_TARGET",
        "unscaled": "TARGET",
    },
    "kubernetes.certificates": {
        "due": "RENEW",
        "unseen": "NOT_PROCESSED",
    },
    "kubernetes.cronjobs": {
        "suspended": "RESUME",
        "rerun_of": "RUN_NOW",
    },
    "kubernetes.disruption": {
        "budgeted": "UNHEALTHY SELECTED",
        "tight": "ONE_MORE",
    },
    "kubernetes.dns": {
        "lost_service": "SERVICE_NOT_RESOLVED",
        "other_service": "OTHER_ADDRESSES",
        "current_dns_namespace": "",
    },
    "kubernetes.images": {
        "looked_at": "UNPINNED OTHER_REGISTRY OTHER_IMAGE MIXED",
        "unpinned": "PIN",
        "mixed_rollout": "ROLLOUT",
        "differing": "HISTORY",
    },
    "kubernetes.ingresses": {
        "missing_service": "SERVICE_NOT_FOUND",
        "wrong_port_of": "PORT_NOT_FOUND",
        "unserved_service": "NOT_SERVED",
        "missing_secret": "SECRET_NOT_FOUND",
        "missing_class": "CLASS_NOT_FOUND",
        "unaddressed": "NO_ADDRESS",
    },
    "kubernetes.jobs": {
        "failed_pod": "FAILED_POD",
        "slow_pod": "SLOW_POD",
        "rerun_of": "RERUN",
        "unowned": "DELETE",
        "suspended": "RESUME",
    },
    "kubernetes.logs": {
        "logged_by": "",
        "rollout": "LAST_ROLLOUTS",
        "logged_selector": "",
        "exact_pattern": "MATCHING_LINES",
        "caseless_pattern": "MATCHING_LINES_ANY_CASE",
    },
    "kubernetes.nodes": {
        "not_ready": "NOT_READY",
        "short_of_memory": "MEMORY_PRESSURE",
        "short_of_disk": "DISK_PRESSURE",
        "cordoned": "CORDONED",
        "leaving": "NOT_REMOVED",
        "outdated": "VERSION_SKEW",
        "crowded": "FULL",
    },
    "kubernetes.pods": {
        "crashed": "POD_CRASHED",
        "unready": "POD_UNREADY",
        "unscheduled": "POD_UNSCHEDULED",
        "stuck": "POD_STUCK",
        "lost_node": "NODE_LOST",
        "failed_rollout": "ROLL_BACK",
        "unready_rollout": "RESTART",
        "out_of_memory": "MORE_MEMORY",
        "tombstone": "POD_FAILED",
    },
    "kubernetes.resources": {
        "unset": "SET_IN_CLUSTER",
        "measured": "",
    },
    "kubernetes.rollout": {
        "crashed": "POD_CRASHED",
        "unready": "POD_UNREADY",
        "unscheduled": "POD_UNSCHEDULED",
        "stuck": "POD_STUCK",
        "lost_node": "NODE_LOST",
        "failed_rollout": "ROLL_BACK",
        "unready_rollout": "RESTART",
        "workload": "",
        "rolling": "STATUS",
        "paused": "RESUME",
        "blocking": "DELETE_BLOCKING",
        "over_quota": "QUOTA",
        "refused": "REFUSED",
        "misplaced": "MISPLACED",
        "unseen": "UNSEEN",
    },
    "kubernetes.services": {
        "sliced": "NOT_READY TOO_FEW_PODS NOT_IN_SLICES NO_SELECTOR PORT_NOT_FOUND",
        "unbalanced": "LOAD_BALANCER",
        "selected": "NOT_READY TOO_FEW_PODS NOT_IN_SLICES",
        "unmatched": "NO_PODS",
        "unported": "PORT_NOT_FOUND",
        "unready_pod": "NOT_READY",
        "missing_port": "PORT_NOT_FOUND",
    },
    "kubernetes.usage": {
        "full_node": "NODE_FULL",
        "hungry": "NEAR_LIMIT NEAR_MEMORY_LIMIT",
        "memory_owner": "NEAR_MEMORY_LIMIT",
    },
    "kubernetes.volumes": {
        "pending": "PENDING",
        "stuck": "NOT_REMOVED",
        "expandable": "ENLARGE",
        "missing_class": "CLASS_NOT_FOUND",
        "resize_rollout": "RESTART_TO_RESIZE",
        "full_pod": "SEE_FILES",
        "inode_pod": "SEE_INODES",
    },
    "pgbouncer.pools": {
        "pool_database": "SHOW_POOL",
        "pool_user": "SHOW_POOL",
        "limited_database": "SHOW_LIMIT",
        "paused": "RESUME_DATABASE",
        "disabled": "ENABLE_DATABASE",
        "paused_as_a_whole": "RESUME",
    },
    "postgres.access": {
        "superuser": "CREATE_ROLE",
        "demotable": "DEMOTE",
        "attribute_role": "ALTER_ROLE",
    },
    "postgres.activity": {
        "running_pid": "CANCEL",
        "idle_pid": "TERMINATE",
        "running_role": "SET_STATEMENT_TIMEOUT",
        "idle_role": "SET_IDLE_TIMEOUT",
        "transaction_role": "SET_TRANSACTION_TIMEOUT",
    },
    "postgres.connections": {
        "holder_role": "SHOW_HOLDERS SHOW_WALSENDERS",
        "limited_role": "RAISE.role",
        "limited_database": "RAISE.database",
        "refusing": "SHOW_HOLDERS_AS_SUPERUSER",
        "full": "RAISE.server",
        "sending": "SHOW_WALSENDERS",
    },
    "postgres.indexes": {
        "invalid_index": "REBUILD",
        "superfluous_index": "DROP",
        "partitioned_index": "DROP_PARTITIONED",
        "superfluous_constraint": "DROP_CONSTRAINT",
    },
    "postgres.locks": {
        "blocker": "SHOW_WAITS",
        "running_blocker": "CANCEL",
        "idle_blocker": "TERMINATE",
        "lock_holder": "SHOW_LOCKS",
        "idle_role": "SET_IDLE_TIMEOUT",
        "gid_database": "ROLL_BACK",
        "more_locks": "RAISE_MAX_LOCKS",
    },
    "postgres.queries": {
        "statement_database": "SHOW_STATEMENT",
        "explained_in": "EXPLAIN",
    },
    "postgres.replication": {
        "missing": "SHOW_SLOT_OF_REPLICA",
        "replayed": "SHOW_REPLAY",
        "paused_at": "RESUME",
        "cut_off": "SHOW_RECEIVER",
        "lost_slot": "DROP_LOST_SLOT",
    },
    "postgres.settings": {
        "restart_setting": "SET_AND_RESTART",
        "restart_wanted": "SET_AND_RESTART",
        "pending_setting": "SHOW_PENDING",
        "missing_extension": "CREATE_EXTENSION",
        "outdated_extension": "UPDATE_EXTENSION",
        "collation_database": "REINDEX",
        "column_collation_database": "REFRESH_COLLATION",
        "invalid_database": "DROP_DATABASE",
        "corrupt": "SHOW_CORRUPT",
        "bad_line": "SHOW_FILE_ERRORS",
    },
    "postgres.size": {
        "sequence_database": "SHOW_SEQUENCE",
        "sequence_schema": "SHOW_SEQUENCE",
        "narrow": "WIDEN_SEQUENCE",
        "capped_at": "REMOVE_LIMIT",
    },
    "postgres.vacuum": {
        "freeze_database": "FREEZE_XIDS",
        "multixact_database": "FREEZE_MULTIXACTS",
        "vacuum_table": "VACUUM",
        "analyze_table": "ANALYZE",
        "disabled_table": "ENABLE",
        "holder_pid": "END_SESSION",
        "holder_since": "END_SESSION",
        "holder_gid": "ROLL_BACK",
        "holder_database": "ROLL_BACK",
        "holder_slot": "DROP_SLOT",
    },
    "recovery.drill": {
        "listed": "LIST_BUCKET",
        "own_listed": "LIST_BUCKET",
        "damaged": "DAMAGED",
        "own_damaged": "DAMAGED",
        "damaged_file": "DAMAGED_FILE",
    },
    "recovery.drilled": {
        "overdue": "OVERDUE",
        "failed": "FAILED",
    },
    "redis.cache": {
        "missing": "MISSED",
        "slow": "SLOW",
        "unlogged": "UNLOGGED",
    },
    "redis.clients": {
        "full": "FULL",
        "max_clients": "MAX_CLIENTS",
        "rejecting": "REJECTING",
        "blocking": "BLOCKED",
    },
    "redis.memory": {
        "full": "FULL",
        "stuck": "STUCK",
        "unlimited": "UNLIMITED",
        "evicting": "EVICTING",
        "lossy": "LOSSY",
        "fragmented": "FRAGMENTED",
        "swapping": "SWAPPING",
    },
    "redis.persistence": {
        "failed": "SNAPSHOT_FAILED",
        "unwritten": "WRITE_FAILED",
        "unshortened": "REWRITE_FAILED",
        "off": "APPEND_ONLY_OFF",
        "unsaved": "UNSAVED",
    },
    "redis.ping": {
        "loading": "STATE_REMEDIES.LOADING",
        "misconf": "STATE_REMEDIES.MISCONF",
        "masterdown": "STATE_REMEDIES.MASTERDOWN",
        "clusterdown": "STATE_REMEDIES.CLUSTERDOWN",
        "busy": "STATE_REMEDIES.BUSY",
        "max_clients": "STATE_REMEDIES.MAX_CLIENTS",
        "slow": "SLOW",
    },
    "redis.replication": {
        "misplaced": "MISPLACED",
        "lonely": "LONELY",
        "trailing": "TRAILING",
        "cut_off": "CUT_OFF",
        "leaderless": "LEADERLESS",
        "broken_cluster": "BROKEN_CLUSTER",
    },
    "tls.certificate": {
        "connect": "",
        "connect_nameless": "",
        "connect_starttls": "",
        "connect_starttls_nameless": "",
        "sni": "",
        "ending": "RENEW",
        "early": "COMPARE_CLOCKS",
        "old_protocol": "DISABLE_PROTOCOL",
        "old_address": "DISABLE_PROTOCOL",
    },
    "tls.files": {
        "pem": "LOOK_PEM",
        "keystore": "LOOK_KEYSTORE",
        "ending": "RENEW",
        "broken": "REPLACE_FILE",
        "near": "LOOK_AT_FOLDER",
        "serving": "RELOAD",
        "connect": "",
        "connect_nameless": "",
        "connect_starttls": "",
        "connect_starttls_nameless": "",
        "sni": "",
    },
}
"""By check: each former name, and the constants of the remedies beside which it has a value; none is beside all."""


def _constants(kind: type[Expectation]) -> Iterator[tuple[str, Remedy]]:
    """The remedies of `kind` by the names of their constants, wherever they are declared."""
    modules = [module for name, module in sys.modules.items() if name.startswith("opscheck.systems.")]
    for name, value in (item for module in modules for item in list(vars(module).items())):
        members = value.items() if isinstance(value, dict) else [("", value)]
        for key, member in members:
            if isinstance(member, Remedy) and member in kind.remedies:
                yield f"{name}.{key}".removesuffix("."), member


def _shown(kind: type[Expectation], name: str, remedy: Remedy) -> bool:
    """Whether the former `name` has a value beside a finding that suggests `remedy` alone."""
    fact = kind.former_fact_names[name].fact
    fields = (
        dict.fromkeys(kind.model_fields)
        | {"target": CACHE if kind.check_name.startswith("redis.") else S3Target(kind="s3", bucket="bucket")}
        | ({fact: fact} if fact in kind.model_fields else {})
    )
    expectation = kind.model_construct(**fields | {"id": "old", "title": "", "tags": ()})
    facts = {fact: fact} if fact in kind.fact_names else {}
    finding = expectation.finding(subject="subject", observed="o", expected="e", remedies=[remedy], facts=facts)
    return _facts(finding, expectation, environment="test", claim="").get(name) == fact


def test_table_has_every_former_name():
    declared = {check: {*kind.former_fact_names} - {"current_namespace"} for check, kind in KINDS.items()}

    assert {check: names for check, names in declared.items() if names} == {
        check: {*names} for check, names in FORMER.items()
    }


@pytest.mark.parametrize("check", FORMER)
def test_former_name_has_a_value_only_beside_its_remedy(check):
    kind = KINDS[check]
    constants = dict(_constants(kind))
    for name, wanted in FORMER[check].items():
        beside = {remedy for remedy in kind.remedies if _shown(kind, name, remedy)}
        assert beside == ({constants[constant] for constant in wanted.split()} or {*kind.remedies}), name


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.check_name)
def test_former_names_for_context_and_aws_have_no_value_elsewhere(kind):
    former = kind.former_fact_names
    for name in {"current_namespace", "current_dns_namespace"} & set(former):
        assert former[name].without == "context"
    for name in former:
        if f"own_{name}" in former:
            assert (former[name].without, former[f"own_{name}"].without) == ("endpoint_url", "")
