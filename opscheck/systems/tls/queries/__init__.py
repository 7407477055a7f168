"""What can be asked of servers that answer with TLS."""
