"""What can be expected of certificates, as they are served and as they lie in files."""
