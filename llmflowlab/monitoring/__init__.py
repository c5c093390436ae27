"""Watching what is deployed: traffic, alerts, and whether the model behind a name has changed."""
