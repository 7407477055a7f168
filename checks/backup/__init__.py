"""The bundled checks of backups."""
