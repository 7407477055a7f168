"""What all tests share: the servers that live until the end, and property tests that are not hurried."""

import gc
import signal
from collections.abc import Generator

import pytest

from tests.property_tests import load_profile
from tests.servers.aws import aws_program
from tests.servers.dumps import dumps, only_pg_restore
from tests.servers.interpreters import fork_server, interpreter, new_interpreter
from tests.servers.memory import prefer_memory
from tests.servers.pgbouncer import pgbouncer_program
from tests.servers.postgres import (
    admin,
    cluster,
    clusters,
    contrib_installation,
    installation,
    no_template,
    postgres_templates,
    postgres_tls,
)
from tests.servers.redis_versions import redis_program, redis_seven
from tests.servers.s3 import (
    aws_models,
    bucket,
    in_environment,
    moto_bucket,
    open_bucket,
    paged_bucket,
    s3_server,
    store,
)
from tests.servers.tools import busybox, busybox_tools, nginx_program, parallel_packers, prometheus_program
from tests.tiers import (
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_make_collect_report,
    pytest_runtest_makereport,
    pytest_sessionfinish,
)

# Imported in more than one conftest.py, each would be another fixture with servers of its own.
__all__ = [
    "admin",
    "aws_models",
    "aws_program",
    "bucket",
    "busybox",
    "busybox_tools",
    "cluster",
    "clusters",
    "contrib_installation",
    "dumps",
    "fork_server",
    "in_environment",
    "installation",
    "interpreter",
    "moto_bucket",
    "new_interpreter",
    "nginx_program",
    "no_template",
    "only_pg_restore",
    "open_bucket",
    "paged_bucket",
    "parallel_packers",
    "pgbouncer_program",
    "postgres_templates",
    "postgres_tls",
    "prometheus_program",
    "pytest_collection",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_make_collect_report",
    "pytest_runtest_makereport",
    "pytest_sessionfinish",
    "redis_program",
    "redis_seven",
    "s3_server",
    "store",
]

prefer_memory()

load_profile()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from what lives until the end: 10,000 tests would be visited again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


# A shell has its background jobs ignore Ctrl-C, and so would every program that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
