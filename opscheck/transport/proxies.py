"""Proxies that the environment sets for a server."""

from ipaddress import ip_address
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass


def environment_proxy(server: str) -> str | None:
    """The proxy of HTTPS_PROXY or HTTP_PROXY for `server`; None for a loopback address or by NO_PROXY."""
    parts = urlsplit(server)
    # As Go's clients do: loopback addresses are never reached through a proxy.
    if parts.hostname == "localhost" or _is_loopback(parts.hostname or "") or proxy_bypass(parts.netloc):
        return None
    return getproxies().get(parts.scheme)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
