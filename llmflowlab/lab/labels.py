"""What people call the providers."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["LABELS"]

# As each class's `display_name`, without importing them before the menu is drawn.
LABELS: Mapping[str, str] = {
    "gemini": "Gemini",
    "ollama": "Ollama",
    "openai": "OpenAI",
    "azure": "Azure",
    "anthropic": "Claude",
    "guide": "Guide",
    "mlflow": "MLflow",
}
