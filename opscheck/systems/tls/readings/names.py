"""Which hosts a certificate is for, by the names in it."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

_FEWEST_DOTS = 2


def covers(names: Iterable[str], host: str) -> bool:
    """
    True when one of `names` stands for `host`, as RFC 6125 has it.

    An asterisk stands for the whole first label, and for one label only; none stands for a whole top-level domain. An
    address is covered by the same address alone.
    """
    address = _address(host)
    if address is not None:
        return any(_address(name) == address for name in names)
    wanted = _ascii(host)
    return any(_stands_for(_ascii(name), wanted) for name in names)


def _stands_for(name: str, host: str) -> bool:
    if not name.startswith("*."):
        return name == host
    rest = name.removeprefix("*")
    label, dot, above = host.partition(".")
    return bool(label) and rest.count(".") >= _FEWEST_DOTS and f"{dot}{above}" == rest


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _ascii(name: str) -> str:
    name = name.rstrip(".").lower()
    try:
        return name if name.isascii() else name.encode("idna").decode()
    except UnicodeError:
        return name
