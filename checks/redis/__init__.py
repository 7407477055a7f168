"""What is expected of Redis and Valkey servers."""
