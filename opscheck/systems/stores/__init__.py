"""Stores of backups: S3 buckets and folders."""
