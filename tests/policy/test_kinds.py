"""Which kinds of expectation are known."""

import subprocess
import sys

from opscheck import Expectation
from opscheck.policy.kinds import import_bundled


def test_every_bundled_kind_is_known_once_asked_for():
    import_bundled()

    systems = {"backup", "host", "http", "kubernetes", "pgbouncer", "postgres", "recovery", "redis", "tls"}

    assert systems == {name.partition(".")[0] for name in Expectation.kinds}


def test_only_the_systems_that_a_policy_uses_are_imported():
    code = (
        "import sys; from opscheck.policy.kinds import import_used; import_used({'redis.ping', 'acme.queue'});"
        "print(sorted(name for name in sys.modules if name.startswith('opscheck.systems.')))"
    )

    known = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout

    assert "opscheck.systems.redis.expectations" in known
    assert "opscheck.systems.kubernetes.expectations" not in known
