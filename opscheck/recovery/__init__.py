"""Restore drills: the newest backup is restored into a server of its own, in a process that cleans up after itself."""
