"""Queries to a PostgreSQL server, a module per field of work; `opscheck.systems.postgres.probe` answers them."""
