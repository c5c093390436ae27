"""What can be typed after `main.py registry`."""

from __future__ import annotations

import argparse
from pathlib import Path

from llmflowlab.cli.arguments import add_command
from llmflowlab.cli.evaluate.cluster_options import add_cluster_options
from llmflowlab.cli.options import (
    add_json,
    add_parameters,
    concurrency,
    port,
    seconds,
    share,
    usd,
    whole,
)

__all__ = ["declare_options"]

_VERSION = "NAME/VERSION|NAME@ALIAS"


def declare_options(parser: argparse.ArgumentParser) -> None:
    """Declare the commands; without one the screen opens."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION", title="actions")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        made = add_command(commands, name, text)
        add_json(made)
        return made

    one = command("list", "models, versions, stages, aliases, and the evaluations behind each")
    one.add_argument("name", nargs="?", metavar="NAME", help="only this model")
    command("show", "everything about one version").add_argument("version", metavar=_VERSION)
    two = command("compare", "configuration and results of two versions, side by side")
    two.add_argument("first", metavar=_VERSION)
    two.add_argument("second", metavar=_VERSION)
    _register(
        command("register", "register the candidate of a run, a model, or an agent from files")
    )
    command("archive", "move a version to stage Archived").add_argument("version", metavar=_VERSION)
    alias = command("alias", "give a version an alias, or move it there")
    alias.add_argument("version", metavar=_VERSION)
    alias.add_argument("alias", metavar="ALIAS")
    gone = command("delete", "delete a version; its run stays")
    gone.add_argument("version", metavar=_VERSION)
    gone.add_argument("--yes", action="store_true", help="do not ask before")
    back = command("rollback", "move an alias back to where it was; once more undoes that")
    back.add_argument("name", metavar="NAME")
    back.add_argument("--alias", default="champion", metavar="ALIAS", help="default: champion")
    check = command("check", "load and ask a version as it would be served")
    check.add_argument("version", metavar=_VERSION)
    check.add_argument(
        "--clean-env",
        action="store_true",
        help="in a fresh environment with its own requirements; needs the package index",
    )
    yes = command("trust", "say once that models of this store may run their code here")
    yes.add_argument("--yes", action="store_true", help="do not ask")
    _promote(command("promote", "make a version the champion if an evaluation bears it out"))
    _serve(command("serve", "answer /invocations with a version, follow its alias"))
    _batch(command("batch", "answer a file of requests with a version"))


def _register(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs", nargs="*", metavar="RUN_ID", help="runs of chats or of evaluated candidates"
    )
    parser.add_argument("--model", metavar="REF", help="a candidate of its own: provider:model")
    parser.add_argument("--system", metavar="TEXT", help="its system prompt")
    parser.add_argument("--prompt", metavar="NAME[@VERSION]", help="the same, from the registry")
    parser.add_argument(
        "--guardrails",
        metavar="POLICY",
        help="on, off or a policy file, kept wherever it is served (default: what Settings says)",
    )
    add_parameters(parser, with_help=False)
    add = parser.add_argument
    add("--model-config", type=Path, metavar="FILE", help="its model_config, as YAML or JSON")
    add("--panel", type=Path, metavar="FILE", help="the same of several roles, one after the other")
    add(
        "--code",
        type=Path,
        metavar="FILE",
        help="a ChatModel, ResponsesAgent or PythonModel of yours",
    )
    add("--kind", choices=("chat", "responses", "json"), help="how it is asked (default: chat)")
    add("--name", metavar="NAME", help="the registered model's, with the three above")
    add("--example", type=Path, metavar="FILE", help="the request it is asked first, as JSON")
    add("--needs", action="append", default=[], metavar="PACKAGE", help="what --code imports")


def _promote(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("version", metavar=_VERSION)
    add("--benchmark", type=Path, required=True, metavar="FILE", help="the rows that both answer")
    add("--margin", type=share, default=0.02, metavar="X", help="allowed loss (default 0.02)")
    add("--superior", action="store_true", help="it must be better, not merely no worse")
    add("--scorer", metavar="NAME", help="what counts; default: the one that ranks candidates")
    add("--judge", action="append", default=[], metavar="REF", help="for judged scorers")
    add("--min-coverage", type=share, default=0.95, metavar="X", help="scored rows (default 0.95)")
    add("--max-latency", type=seconds, metavar="S", help="of 95 of 100 answers, in seconds")
    add("--max-cost", type=usd, metavar="USD", help="of an answer on average")
    add("--budget", type=usd, metavar="USD", help="of the whole evaluation")
    add("--concurrency", type=concurrency, metavar="N", help="calls in flight per model")
    add("--fresh", action="store_true", help="reuse no earlier answers")
    add("--human", type=whole, metavar="N", help="people must have judged N rows, and not object")


def _serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("version", metavar=_VERSION)
    parser.add_argument("--host", default="127.0.0.1", metavar="HOST", help="default: 127.0.0.1")
    parser.add_argument("--port", type=port, default=5001, metavar="N", help="default: 5001")
    parser.add_argument(
        "--every",
        type=seconds,
        default=10.0,
        metavar="S",
        help="seconds between two looks at the alias (default 10)",
    )


def _batch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("version", metavar=_VERSION)
    parser.add_argument(
        "--input", type=Path, required=True, metavar="FILE", help="CSV, JSONL or Parquet"
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE", help="CSV or JSONL, by its name"
    )
    parser.add_argument(
        "--concurrency", type=concurrency, default=8, metavar="N", help="default: 8"
    )
    parser.add_argument("--budget", type=usd, metavar="USD", help="never spend more")
    parser.add_argument("--force", action="store_true", help="write over an output that exists")
    add_cluster_options(parser, traced=False)
