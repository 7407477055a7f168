"""What the answers of Redis and Valkey servers mean, a module per field of work."""
