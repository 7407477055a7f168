"""What is expected of Kubernetes clusters."""
