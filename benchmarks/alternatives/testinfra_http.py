"""The same HTTP checks with testinfra: a command on a host each."""
# ruff: noqa: S101 - pytest tests assert

import os

import pytest
from testinfra.host import Host

COUNT = int(os.environ["BENCH_COUNT"])

testinfra_hosts = ["local://"]


@pytest.mark.parametrize("number", range(COUNT))
def test_answers(host: Host, number: int) -> None:
    answer = host.run("curl --silent --fail --max-time 5 %s", f"{os.environ['BENCH_URL']}/items/{number}")

    assert answer.rc == 0
    assert '"ok"' in answer.stdout
