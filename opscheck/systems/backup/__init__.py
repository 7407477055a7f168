"""Backups: objects in a store, their content, the jobs and tools that make them, archived WAL."""
