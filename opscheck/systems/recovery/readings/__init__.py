"""What restore drills say."""
