"""Queries hosts with small shell scripts, which testinfra runs there."""

from opscheck.systems.host.probe.session import HostSession, open_session

__all__ = ["HostSession", "open_session"]
