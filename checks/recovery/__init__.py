"""The bundled checks of restore drills."""
