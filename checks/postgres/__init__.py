"""What is expected of PostgreSQL servers."""
