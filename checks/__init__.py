"""The bundled suite: one folder per system, one module per concern."""
