"""What people call the providers."""

from __future__ import annotations

from collections.abc import Mapping

from llmflowlab.providers.factory import PROVIDERS

__all__ = ["LABELS"]

# As each class's `display_name`, without importing them before the menu is drawn.
LABELS: Mapping[str, str] = {name: found.display_name for name, found in PROVIDERS.items()}
