"""What can be expected of backups, a module per field of work."""
