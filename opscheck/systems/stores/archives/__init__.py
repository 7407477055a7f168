"""What is in a backup, read from its bytes: compression, formats, pg_restore."""
