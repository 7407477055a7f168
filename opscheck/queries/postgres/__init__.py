"""What can be asked of a PostgreSQL server, a module per field of work; `opscheck.probes.postgres` has its twins."""
