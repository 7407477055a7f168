"""Gathering of observations: plan, concurrency, deadlines, snapshot and state file."""
