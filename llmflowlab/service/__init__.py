"""The HTTP service: models at work, over the same use-cases as the console."""
