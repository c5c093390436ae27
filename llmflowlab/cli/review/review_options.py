"""Options that several actions of a review have."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["add_person", "add_rubric"]


def add_person(parser: argparse.ArgumentParser) -> None:
    """Declare who judges."""
    parser.add_argument(
        "--as", dest="person", metavar="NAME", help="who judges (default: the account's name)"
    )


def add_rubric(parser: argparse.ArgumentParser) -> None:
    """Declare what is asked."""
    parser.add_argument(
        "--rubric",
        type=Path,
        metavar="FILE",
        help="YAML or JSON with what is asked (default: correct, yes or no, and quality, 1 to 5)",
    )
