"""What can be expected: one typed model per check, a module per system."""
