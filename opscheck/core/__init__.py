"""The vocabulary of a run: units, targets, queries, observations, expectations, verdicts. No system, no I/O."""
