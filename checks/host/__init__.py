"""The bundled checks of machines, containers and pods."""
