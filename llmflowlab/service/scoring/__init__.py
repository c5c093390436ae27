"""Scores of answers, given in the background while the service goes on."""
