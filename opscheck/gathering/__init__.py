"""Collecting, apart from judging: the plan, the concurrency, the deadlines, and the snapshot."""
