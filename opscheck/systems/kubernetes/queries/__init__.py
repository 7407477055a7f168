"""Questions to a Kubernetes cluster, and the few fields of its objects that checks read, a module per field of work."""
