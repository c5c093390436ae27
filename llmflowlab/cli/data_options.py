"""What can be typed after `main.py data`."""

from __future__ import annotations

import argparse

from llmflowlab.cli.arguments import add_command
from llmflowlab.cli.options import add_json

__all__ = ["declare_options"]


def declare_options(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)
    check = add_command(actions, "check", "find what makes a benchmark's figures worth less")
    check.add_argument("--runs", action="store_true", help="look at earlier evaluations too")
    check.add_argument(
        "--strict", action="store_true", help="end with code 5 where there is an error or warning"
    )
    check.add_argument(
        "--skip-bad", action="store_true", help="look only at the rows that can be used"
    )
    sample = add_command(actions, "sample", "draw rows, the same for the same seed")
    sample.add_argument("-n", type=int, required=True, metavar="N", help="how many rows")
    split = add_command(actions, "split", "divide rows; near duplicates stay together")
    split.add_argument(
        "--into", required=True, metavar="NAME=SHARE,...", help="as in train=0.8,test=0.2"
    )
    convert = add_command(actions, "convert", "write a file in another format, every text as it is")
    register = add_command(actions, "register", "keep a version of a benchmark in MLflow")
    register.add_argument("--name", metavar="NAME", help="default: the file's name")
    for action in (check, sample, split, convert, register):
        action.add_argument("file", metavar="FILE")
        add_json(action)
    convert.add_argument(
        "target", metavar="OUT", help="ends in .csv, .tsv, .jsonl, .json, .parquet"
    )
    for action in (check, split, register):
        action.add_argument(
            "--map",
            action="append",
            default=[],
            metavar="ROLE=COLUMN",
            help="which column is the question, answer, ...",
        )
    for action in (sample, split):
        action.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
        action.add_argument(
            "--by", metavar="COLUMN", help="keep the shares of this column's values"
        )
    sample.add_argument("-o", "--output", required=True, metavar="OUT", help="the file to write")
    split.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="the folder to write to"
    )
    for action in (sample, split, convert):
        action.add_argument("--force", action="store_true", help="replace files that are there")
    add_json(add_command(actions, "list", "list the registered versions"))
