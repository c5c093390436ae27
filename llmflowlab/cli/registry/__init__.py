"""The model registry: `main.py registry` and its screen."""
