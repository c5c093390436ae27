"""Which models only embed, by their names: where a list of models says no more, nothing else can tell."""

from __future__ import annotations

import re

__all__ = ["named_for_embedding"]

_NAMED = re.compile(
    r"embed|rerank|minilm|sentence-(t5|transformers)|(?<![a-z0-9])(bge|gte|e5|instructor)(?![a-z0-9])"
)


def named_for_embedding(model: str) -> bool:
    """Tell whether a model's name is one of those that embed or rank, and do not chat."""
    return _NAMED.search(model.lower()) is not None
