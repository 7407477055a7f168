"""One run inside pytest: items, reports and the exit code."""
