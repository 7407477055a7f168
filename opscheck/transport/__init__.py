"""Shared code of probes: connections with a deadline, HTTP, proxies, processes, files."""
