"""The connections to an API server, as its kubeconfig says."""

from typing import Any

import urllib3

from opscheck.systems.kubernetes.probe.access import Access
from opscheck.transport.timed_http import timed


def new_pool(access: Access, size: int) -> urllib3.PoolManager:
    """At most `size` connections at once, shared by all threads. Raises urllib3's errors for a proxy it cannot use."""
    tls = {"ssl_context": access.tls, "server_hostname": access.tls_server_name} if access.tls else {}
    options: dict[str, Any] = {"num_pools": 1, "maxsize": size, "block": True, "retries": False, **tls}
    return timed(urllib3.ProxyManager(access.proxy, **options) if access.proxy else urllib3.PoolManager(**options))
