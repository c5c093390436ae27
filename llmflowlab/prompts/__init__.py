"""Prompts of MLflow's registry, by name and version."""
