"""What PostgreSQL's answers mean, a module per field of work."""
