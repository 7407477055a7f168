"""Queries PostgreSQL servers."""

from opscheck.systems.postgres.probe.session import PostgresSession, open_session

__all__ = ["PostgresSession", "open_session"]
