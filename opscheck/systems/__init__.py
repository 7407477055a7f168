"""One package for each kind of software that can be checked."""
