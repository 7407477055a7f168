"""What is expected of machines, containers and pods."""
