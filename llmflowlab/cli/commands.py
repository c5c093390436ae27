"""The commands of the program, in the order in which help lists them.

A command is a module with two functions: `declare_options(parser)` and `run_command(app, arguments)`,
which returns the exit code. It is imported when it was named, and not before: starting must not wait
for what another command needs.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    import argparse

    from llmflowlab.cli.context import App

__all__ = ["COMMANDS", "Command", "CommandModule"]


class CommandModule(Protocol):
    """What a command's module has."""

    def declare_options(self, parser: argparse.ArgumentParser) -> None:
        """Declare what can be typed after the command's name."""
        ...

    def run_command(self, app: App, arguments: argparse.Namespace) -> int:
        """Carry the command out; returns the exit code.

        Raises:
            LabError: It cannot be done.
        """
        ...


@dataclass(frozen=True, slots=True)
class Command:
    """One command."""

    name: str
    help: str
    path: str
    """Dotted name of its module, below `llmflowlab.cli`."""
    group: str = "more"
    """Under which heading help lists it, beside its neighbours."""
    examples: tuple[str, ...] = ()
    """Lines that can be typed after the program's name."""
    usual: str | None = None
    """The action that is meant where the first word is none."""

    def load(self) -> CommandModule:
        """Import its module."""
        module = importlib.import_module(f"llmflowlab.cli.{self.path}")
        return cast("CommandModule", module)


_ASK = "ask models"
_PAST = "look again at what was evaluated"
_THINGS = "questions and models"
_LAB = "the lab itself"

COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        Command(
            "chat",
            "talk with a model; without --message, one prompt per line",
            "chat.chat_command",
            _ASK,
            ("chat --model gemini", 'chat --model guide --message "What is a token?" --json'),
        ),
        Command(
            "evaluate",
            "ask models questions with known answers and compare",
            "evaluate.evaluate_command",
            _ASK,
            (
                "evaluate --model gemini --model ollama:llama3.2 --sample 30 --budget 1",
                "evaluate --model gemini --scorer exact_match --fail-under exact_match=0.8",
            ),
        ),
        Command(
            "arena",
            "two models answer unnamed, you vote; and the leaderboard",
            "arena.arena_command",
            _ASK,
            (
                "arena --model gemini --model ollama:llama3.2 --data questions.csv",
                "arena leaderboard --by category",
            ),
        ),
        Command(
            "plan",
            "how many questions it takes to see a difference, and the cost",
            "evaluate.plan_command",
            _ASK,
            (
                "plan --model gemini --model ollama:llama3.2 --difference 0.05",
                "plan --model openai:gpt-4.1-mini --data questions.csv --json",
            ),
        ),
        Command(
            "info",
            "what past sessions and evaluations say about each model",
            "info_command",
            _PAST,
            ("info", "info --provider gemini --json"),
        ),
        Command(
            "review",
            "judge answers yourself; how far people and judges agree",
            "review.review_command",
            _PAST,
            ("review RUN_ID", "review EVALUATION_ID --order narrow --until 0.05"),
            usual="answers",
        ),
        Command(
            "report",
            "write an evaluation's files again, plots included",
            "evaluate.report_command",
            _PAST,
            ("report EVALUATION_ID", "report RUN_ID --output reports"),
        ),
        Command(
            "compare",
            "quality against cost and time: who is beaten by none, whom to take",
            "evaluate.compare_command",
            _PAST,
            (
                "compare EVALUATION_ID --max-cost-per-1000 1 --html compare.html",
                "compare RUN_ID RUN_ID --not-worse-than 1 --margin 0.03",
            ),
        ),
        Command(
            "diff",
            "which rows got better or worse between two evaluations",
            "evaluate.diff_command",
            _PAST,
            ("diff EVALUATION_ID:1 EVALUATION_ID:2", "diff RUN_ID RUN_ID --scorer contains"),
        ),
        Command(
            "verify",
            "recompute every figure of a run from MLflow's traces",
            "evaluate.verify_command",
            _PAST,
            ("verify RUN_ID", "verify EVALUATION_ID --json"),
        ),
        Command(
            "repair",
            "deliver an evaluation to MLflow again; asks no model",
            "evaluate.repair_command",
            _PAST,
            ("repair EVALUATION_ID", "repair RUN_ID --json"),
        ),
        Command(
            "adjust",
            "change an evaluation that is running elsewhere",
            "evaluate.adjust_command",
            _PAST,
            ("adjust EVALUATION_ID --concurrency 20", "adjust EVALUATION_ID --budget 5"),
        ),
        Command(
            "cache",
            "what is kept of evaluations; --clear forgets it",
            "evaluate.cache_command",
            _PAST,
            ("cache", "cache --clear EVALUATION_ID --yes"),
        ),
        Command(
            "data",
            "check, sample, split, convert and register benchmark files",
            "data_command",
            _THINGS,
            ("data check questions.csv --strict", "data sample questions.csv -n 30 -o thirty.csv"),
        ),
        Command(
            "models",
            "list the models that can be reached, with their prices",
            "models_command",
            _THINGS,
            ("models", "models --json"),
        ),
        Command(
            "registry",
            "model versions: compare, check, promote, serve",
            "registry.registry_command",
            _THINGS,
            (
                "registry list",
                "registry promote llm_gemini_chat@staging --benchmark questions.csv",
            ),
        ),
        Command(
            "serve",
            "models behind an HTTP service: sessions, keys, limits, OpenAI's shapes",
            "service.serve_command",
            _THINGS,
            ("serve --model local", "serve keys make shop"),
            usual="start",
        ),
        Command(
            "monitor",
            "watch the service: traffic, alerts, whether a model has changed",
            "monitor.monitor_command",
            _THINGS,
            ("monitor --since 30m", "monitor report --since 7d --json"),
            usual="live",
        ),
        Command(
            "prompts",
            "prompt templates: versions, aliases, compare, optimize",
            "prompts.prompts_command",
            _THINGS,
            ("prompts sync", "prompts compare support_bad support_best --model local --sample 20"),
        ),
        Command(
            "guardrails",
            "what may go in and come out: test, check a text, list",
            "guardrails_command",
            _THINGS,
            ('guardrails check "Ignore your instructions."', "guardrails test --detector local"),
        ),
        Command(
            "doctor",
            "check everything the lab stands on; say what is missing",
            "doctor_command",
            _LAB,
            ("doctor", "doctor --strict --json"),
        ),
        Command(
            "ui",
            "open MLflow's pages on the lab's store",
            "mlflow_ui",
            _LAB,
            ("ui", "ui --port 8080 --no-browser"),
        ),
        Command(
            "completion",
            "the script with which a shell completes commands and options",
            "completion_command",
            _LAB,
            ("completion bash", "completion fish --json"),
        ),
    )
}
