"""What travels with every registered chat model."""

from __future__ import annotations

from pathlib import Path

import llmflowlab
from llmflowlab.tracking.model_package import ModelPackage

__all__ = ["package"]

_NEEDED = ("mlflow", "python-dotenv", "filelock")
_BY_PROVIDER = {
    "gemini": ("google-genai",),
    "ollama": ("ollama",),
    "openai": ("openai",),
    "azure": ("openai",),
    "anthropic": ("anthropic",),
    "guide": ("scikit-learn", "numpy", "scipy"),
}


def package() -> ModelPackage:
    """Return the code of the chat model and what it needs; reads no file and imports no SDK."""
    here = Path(__file__).resolve().parent
    return ModelPackage(
        code_path=here / "chat_agent.py",
        package_path=Path(llmflowlab.__file__).resolve().parent,
        # Screens and evaluation are not part of a model.
        left_out=frozenset({"cli", "evaluation"}),
        requirements=_NEEDED,
        provider_requirements=_BY_PROVIDER,
    )
