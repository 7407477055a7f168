"""What certificates say."""
