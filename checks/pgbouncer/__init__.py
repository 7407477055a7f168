"""What is expected of PgBouncers."""
