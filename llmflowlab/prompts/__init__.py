"""Prompts of MLflow's registry: templates, versions, files, and the search for a better one."""
