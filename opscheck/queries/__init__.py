"""Questions to a target and the shapes of their answers, a module per system. Nothing here talks to anything."""
