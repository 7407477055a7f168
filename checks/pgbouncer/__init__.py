"""The checks of PgBouncer."""
