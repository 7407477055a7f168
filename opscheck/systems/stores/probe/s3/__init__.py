"""Asks S3 and stores that speak its protocol: one bucket, over its objects and its configuration."""
