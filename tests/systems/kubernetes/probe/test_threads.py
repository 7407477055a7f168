"""Lists of many kinds are decoded in many threads at once, from the first moment on."""

import subprocess
import sys

_EVERY_KIND_AT_ONCE = """
import sys, threading, time
from msgspec import _utils
from opscheck.systems.kubernetes.probe import lists
from opscheck.core.query import Query
from opscheck.core.registry import Registry
from opscheck.systems.kubernetes.lists import ListObjects
Registry.bundled().expectation_types()

known = _utils._get_class_mro_and_typevar_mappings

def slow(cls):
    time.sleep(0.001)  # while it looks into a type, every other thread has its turn
    return known(cls)

_utils._get_class_mro_and_typevar_mappings = slow
kinds = [query for query in Query.known.values() if issubclass(query, ListObjects)] * 3
together = threading.Barrier(len(kinds))
metadata = b'{"ownerReferences": [{"kind": "Job"}], "labels": {"app": "a"}, "name": "a", "deletionTimestamp": null}'
page = b'{"kind": "List", "items": [{"metadata": %b, "spec": {}, "status": {"conditions": [{}]}}]}' % metadata

def decode(kind):
    together.wait(20)
    assert ["a"] == [item.name for item in lists._decoder(kind.item)(page).items]
    decoded.append(kind)

decoded = []
threads = [threading.Thread(target=decode, args=(kind,)) for kind in kinds]
for thread in threads: thread.start()
for thread in threads: thread.join(20)
assert len(kinds) == len(decoded) > 10, len(decoded)
"""


def test_types_that_several_threads_meet_for_the_first_time_are_whole_in_each(new_interpreter):
    done = subprocess.run(
        [sys.executable, "-c", _EVERY_KIND_AT_ONCE], capture_output=True, text=True, timeout=60, check=False
    )

    assert 0 == done.returncode, done.stderr[-2000:]
