"""What listings and contents say of backups."""
