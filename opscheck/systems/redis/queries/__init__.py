"""What can be asked of a Redis or Valkey server, a module per kind of question."""
