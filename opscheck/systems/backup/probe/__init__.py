"""The readers of backup tools."""
