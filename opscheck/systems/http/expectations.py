"""The expectations of HTTP APIs."""

from opscheck.systems.http import response, value

__all__ = ["response", "value"]
