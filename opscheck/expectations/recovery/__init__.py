"""What can be expected of a recovery: that it was done, and how long it took."""
