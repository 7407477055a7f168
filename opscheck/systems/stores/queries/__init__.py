"""Questions to a place where backups are kept, whichever store it is, and the shapes of their answers."""
