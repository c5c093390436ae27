"""Registered models at work: behind a server, as the provider `mlflow`, and checked."""
