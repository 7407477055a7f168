"""What answers mean: pure functions from what was observed to what a check judges, a module per system."""
