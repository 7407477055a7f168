"""What Kubernetes objects prove, a module per field of work."""
