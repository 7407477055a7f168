"""The embedded environment: real servers on free loopback ports, for `opscheck demo` and for tests."""
