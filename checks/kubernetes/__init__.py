"""Checks of Kubernetes clusters."""
