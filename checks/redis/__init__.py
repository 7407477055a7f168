"""The bundled checks of Redis and Valkey servers."""
