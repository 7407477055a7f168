"""The bundled checks of HTTP APIs."""
