"""The program with a service that keeps no turn: what it costs to keep them is the difference to one that does."""

from __future__ import annotations

import sys
from typing import Any

from llmflowlab.cli import main
from llmflowlab.service import generation


def _nothing(*_: Any, **__: Any) -> None:
    pass


vars(generation)["keep_turn"] = _nothing

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
