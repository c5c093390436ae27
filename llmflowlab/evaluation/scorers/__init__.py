"""Scorers that are computed here, what is known of each, and which of them counts."""
