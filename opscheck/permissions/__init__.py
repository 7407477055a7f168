"""The least that a target must allow, ready to apply, a module per kind of target."""
