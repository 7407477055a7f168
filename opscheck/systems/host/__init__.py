"""Hosts: machines, containers and pods whose commands answer."""
