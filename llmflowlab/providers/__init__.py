"""Talks to models: one folder a family, each with its SDK; knows no MLflow."""
