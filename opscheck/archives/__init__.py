"""What backups are made of, read as a stream: packings, tar, PostgreSQL's dumps. No effects, and bounded memory."""
