"""Watching the service from the command line."""
