"""What probes share: connecting under a deadline, HTTP, proxies, processes, files."""
