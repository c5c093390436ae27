"""Why answers are not scored and what can be done about it, said once for screen, report and summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llmflowlab.evaluation.conclude.results import CandidateResult
from llmflowlab.program import program_name
from llmflowlab.text.money import dollars
from llmflowlab.tracking.violations import in_words

__all__ = ["not_scored", "remedies"]


def not_scored(candidates: Sequence[CandidateResult]) -> list[str]:
    """Return for each candidate and scorer how many answers were not scored, by reason."""
    return [
        f"{candidate.spec.label} {scorer}, not scored: "
        + ", ".join(f"{n} {reason}" for reason, n in score.not_scored.items())
        for candidate in candidates
        for scorer, score in candidate.scores.items()
        if score.not_scored
    ]


def remedies(candidates: Sequence[CandidateResult]) -> list[str]:
    """Return a sentence for each candidate and each way in which answers of it are not whole.

    And one for each whose answers were given, as nothing is known of how they came about.
    """
    return [
        f"{candidate.spec.label}: {sentence}"
        for candidate in candidates
        for sentence in _sentences(candidate)
    ]


def _sentences(candidate: CandidateResult) -> Iterator[str]:
    found = candidate.not_whole
    if candidate.spec.column is not None:
        yield (
            "these answers stood in the data file and nobody was asked, so that their time, tokens and "
            "price are unknown."
        )
    if left := candidate.failed.get("budget_exhausted", 0):
        yield (
            f"{_were(left, 'row')} left out because the budget was spent: go on with --resume and a "
            "larger --budget."
        )
    if (lost := candidate.given_up) is not None:
        cost = "something unknown" if lost.cost_usd is None else dollars(lost.cost_usd)
        yield (
            f"calls for {lost.questions:,} more question{'s' if lost.questions > 1 else ''} were given up "
            f"and cost {cost}, which is not in the figures: go on with --resume."
        )
    unjudged = max(
        (s.not_scored.get("budget_exhausted", 0) for s in candidate.scores.values()), default=0
    )
    if unjudged > left:
        yield (
            f"{_were(unjudged - left, 'answer')} not judged because the budget was spent: go on with "
            "--resume and a larger --budget."
        )
    limit = candidate.spec.parameters.max_tokens
    raised = "raise --max-tokens" if limit else "ask for more with --max-tokens"
    at = f"max_tokens {limit}" if limit else "the server's own limit"
    if cut := found.get("answer_cut", 0):
        yield f"{_were(cut, 'answer')} cut at {at}: {raised}."
    empty = found.get("answer_empty", 0)
    thought = min(empty, candidate.at_limit - cut) if candidate.at_limit > cut else 0
    if thought:
        yield f"{_were(thought, 'answer')} empty because thinking used up {at}: {raised}."
    if candidate.spec.column is not None and empty:
        cells = "1 cell holds" if empty == 1 else f"{empty:,} cells hold"
        yield f"{cells} no answer in the data file: fill them in, or leave their rows out."
    elif empty > thought:
        yield f"{_were(empty - thought, 'answer')} empty: ask again with --fresh."
    if shortened := found.get("prompt_cut", 0):
        yield (
            f"{_were(shortened, 'prompt')} shortened by the server to fit its window: give the model a "
            "larger one (num_ctx; LLMFLOWLAB_OLLAMA_NUM_CTX sets it)."
        )
    if filtered := found.get("answer_filtered", 0):
        yield (
            f"{_were(filtered, 'answer')} stopped midway by the provider's filter: put the questions "
            "differently, or change the filter at the provider."
        )
    if found_by_guardrails := candidate.violations:
        yield f"its guardrails found {in_words(found_by_guardrails)}."
    for reason, what in (("blocked_in", "question"), ("blocked_out", "answer")):
        if blocked := candidate.failed.get(reason, 0):
            yield (
                f"{_were(blocked, what)} blocked by the candidate's guardrails: "
                f"`{program_name()} guardrails check` says "
                "by which rule; --guardrails off, or an allowlist, lets it pass."
            )
    if called := found.get("answer_tool_call", 0):
        yield (
            f"{_were(called, 'answer')} a call of a tool and no text: say in --system that there are "
            "no tools."
        )


def _were(number: int, noun: str) -> str:
    return f"1 {noun} was" if number == 1 else f"{number:,} {noun}s were"
