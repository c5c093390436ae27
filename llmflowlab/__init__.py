"""LLMFlowLab: talk with language models, evaluate them, and keep every step in MLflow."""

__all__ = ["__version__"]

__version__ = "0.2.0"
