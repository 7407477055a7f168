"""The content of a backup, read from its bytes: compression and formats."""
