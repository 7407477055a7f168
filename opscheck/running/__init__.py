"""One run inside pytest: from the policy's entries to items, reports and the exit code."""
