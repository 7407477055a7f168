"""What stores of backups have in common, whichever client reads them: listings, contents."""
