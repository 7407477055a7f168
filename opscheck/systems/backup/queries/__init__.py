"""Queries about backup tools."""
