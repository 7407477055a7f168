"""The checks of PostgreSQL."""
