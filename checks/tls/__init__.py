"""The bundled checks of certificates."""
