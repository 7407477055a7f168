"""Sends requests to HTTP APIs; the only importer of httpcore."""

from opscheck.systems.http.probe.session import HttpSession, open_session

__all__ = ["HttpSession", "open_session"]
