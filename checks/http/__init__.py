"""What is expected of HTTP APIs."""
