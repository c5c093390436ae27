"""What a chat has used so far, in lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from statistics import fmean

from llmflowlab.cli.formatting import count, plural, seconds
from llmflowlab.settings import Settings
from llmflowlab.text.answer_line import cost_text
from llmflowlab.tracking.records import TurnRecord
from llmflowlab.tracking.sinks.mlflow import EXPERIMENT

__all__ = ["cost_lines", "cost_words", "farewell", "stats_lines"]


def stats_lines(
    turns: Sequence[TurnRecord], reference: str, answered_by: Mapping[str, str]
) -> list[str]:
    """Return the turns, tokens and speed of a chat, whose model may have been changed.

    Args:
        turns: Of all its sessions.
        reference: Who answers now.
        answered_by: Whom each turn was put to, by its trace.
    """
    if not turns:
        return [f"  model      {reference}", "  turns      none yet"]
    answered = [turn for turn in turns if not turn.unanswered]
    failed = sum(turn.state == "failed" for turn in turns)
    blocked = sum(turn.state == "blocked" for turn in turns)
    lost = ", ".join(f"{n} {what}" for n, what in ((failed, "failed"), (blocked, "blocked")) if n)
    asked = Counter(answered_by[turn.trace_id] for turn in turns)
    if set(asked) != {reference}:
        before = ", ".join(f"{who} {plural(n, 'turn')}" for who, n in asked.items())
        reference = f"{reference} ({before})"
    lines = [
        f"  model      {reference}",
        f"  turns      {len(turns)}" + (f" ({lost})" if lost else ""),
    ]
    if answered:
        estimated = any(turn.tokens_estimated for turn in answered)
        sent = sum(turn.prompt_tokens or 0 for turn in answered)
        generated = sum(turn.completion_tokens or 0 for turn in answered)
        lines.append(
            f"  tokens     {count(sent, estimated=estimated)} sent, "
            f"{count(generated, estimated=estimated)} generated"
        )
        lines.append(
            f"  time       {seconds(fmean(t.inference_time for t in answered))} on average"
        )
        first = [t.time_to_first_token for t in answered if t.time_to_first_token is not None]
        if first:
            lines.append(f"  begins     {seconds(fmean(first))} after the prompt on average")
    return [*lines, *cost_lines(turns)]


def farewell(turns: Sequence[TurnRecord], settings: Settings) -> str | None:
    """Say what a chat took and where it is kept; None where nothing was said."""
    if not turns:
        return None
    return (
        f"{plural(len(turns), 'turn')} · cost: {cost_words(turns)} · kept in {settings.artifacts_dir} "
        f"and in MLflow's experiment {EXPERIMENT}"
    )


def cost_lines(turns: Sequence[TurnRecord]) -> list[str]:
    """Return what a chat has cost, unknown parts said in words."""
    return [f"  cost       {cost_words(turns)}"]


def cost_words(turns: Sequence[TurnRecord]) -> str:
    """Say what turns have cost, unknown parts in words."""
    # A failed turn counts where its tries were paid for.
    answered = [turn for turn in turns if not turn.unanswered or turn.wasted]
    known = [turn for turn in answered if turn.cost is not None]
    unpriced = len(answered) - len(known)
    if not answered:
        return "nothing yet"
    if not known:
        return f"unknown: no price is known for {plural(unpriced, 'turn')}"
    total = sum((turn.cost or Decimal(0) for turn in known), Decimal(0))
    estimated = any(turn.tokens_estimated for turn in known)
    without = f", and {plural(unpriced, 'turn')} without a known price" if unpriced else ""
    return cost_text(total, estimated=estimated) + without
