"""Arenas on their way to MLflow: a run each, a trace an answer, with the votes as people's feedback."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmflowlab.errors import LabError, TrackingError
from llmflowlab.evaluation.reports.whole import write_document
from llmflowlab.lab.arena_journal import (
    ArenaAnswer,
    ArenaContents,
    ArenaStart,
    read_arena,
)
from llmflowlab.people.votes import QUESTION, ArenaVote, votes_of
from llmflowlab.people.word_store import WordStore
from llmflowlab.settings import Settings
from llmflowlab.text.digests import digest_of
from llmflowlab.tracking.journal import Journal

if TYPE_CHECKING:
    from llmflowlab.tracking.evaluation_rows import RowTrace

__all__ = ["ArenaFigures", "deliver_arena", "figures_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArenaFigures:
    """What an arena comes to, for its last lines on the screen and for its run."""

    battles: int
    votes: int
    ties: int
    both_bad: int
    not_counted: int
    """Battles in which a side had no whole answer."""
    tokens: int | None
    """None where a part is unknown, as with the cost."""
    cost: Decimal | None

    def metrics(self) -> dict[str, float]:
        """Return it as a run's metrics; what is unknown has none."""
        known = {
            "battles": self.battles,
            "votes": self.votes,
            "ties": self.ties,
            "both_bad": self.both_bad,
            "battles_not_counted": self.not_counted,
            "total_tokens": self.tokens,
            "total_cost_estimate": self.cost,
        }
        return {name: float(value) for name, value in known.items() if value is not None}


def figures_of(answers: Sequence[ArenaAnswer], votes: Sequence[ArenaVote]) -> ArenaFigures:
    """Count an arena up."""
    said = Counter(vote.verdict for vote in votes)
    records = [each.answer for each in answers]
    spent = [record.spent for record in records]
    tokens = [
        (record.prompt_tokens or 0) + record.completion_tokens
        for record in records
        if record.completion_tokens is not None
    ]
    unknown = any(r.answered and r.completion_tokens is None for r in records)
    battles = {each.battle for each in answers}
    broken = {each.battle for each in answers if each.answer.why_not_scored is not None}
    whole = Counter(each.battle for each in answers)
    return ArenaFigures(
        battles=len(battles),
        votes=len(votes),
        ties=said["tie"],
        both_bad=said["both_bad"],
        not_counted=len(broken | {number for number, sides in whole.items() if sides < 2}),
        tokens=None if unknown else sum(tokens),
        cost=None if None in spent else sum(filter(None, spent), Decimal(0)),
    )


def deliver_arena(settings: Settings, path: Path) -> str | None:
    """Write an arena into MLflow, read it back, and delete its journal; safe to repeat.

    Returns:
        Why MLflow does not have it yet, in a sentence.
    """
    journal = Journal(path)
    if not journal.acquire():
        return None
    try:
        contents = read_arena(path)
        if contents is not None and contents.answers:
            with closing(WordStore(settings.people_file)) as words:
                _write(settings, contents, votes_of(words, contents.start.arena))
        journal.delete()
    except LabError as exc:
        return f"{exc.message.rstrip('.')}; the arena is kept in {path.parent} and delivered later."
    except OSError as exc:
        return f"An arena could not be read ({exc.strerror or exc}); it is kept in {path}."
    finally:
        journal.release()
    return None


def _write(settings: Settings, contents: ArenaContents, votes: Sequence[ArenaVote]) -> None:
    # Imported here: they import MLflow.
    from llmflowlab.tracking.evaluation_books import HeldTrace
    from llmflowlab.tracking.evaluation_runs import ARENA, EvaluationRuns, RunSpec
    from llmflowlab.tracking.store import open_store

    start = contents.start
    figures = figures_of(contents.answers, votes)
    runs = EvaluationRuns(
        open_store(settings), start.arena, created_ms=start.started_ms, kept=ARENA
    )
    names = dict.fromkeys(candidate.display_name for candidate in start.candidates)
    run_id = runs.open_run(
        RunSpec(
            name=f"Arena_{'_'.join(names)}",
            key="arena",
            params=_params(start),
            tags={"mlflow.source.name": "llmflowlab arena", "mlflow.source.type": "LOCAL"},
        ),
        parent=None,
    )
    traces = [_trace(start, each, votes, run_id) for each in contents.answers]
    runs.write_traces(traces)
    wanted = {each.trace_id: HeldTrace(each.digest, len(each.assessments)) for each in traces}
    if missing := runs.missing(run_id, wanted):
        raise TrackingError(f"MLflow lacks {len(missing)} of {len(wanted)} answers of an arena")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        files = [Path(folder) / "votes.json"]
        write_document(_json([vote.word().to_json() for vote in votes]), files[0])
        ranked, metrics = _ranked(settings, Path(folder)) if votes else ([], {})
        runs.finish(
            run_id,
            # The run's own first: MLflow's pages keep the order, and show the first few.
            metrics={**figures.metrics(), **metrics},
            tags={"llmflowlab.cost": "unknown" if figures.cost is None else "known"},
            files=dict.fromkeys([*files, *ranked], ""),
            status="FINISHED" if contents.ended else "KILLED",
            end_ms=contents.ended_ms,
        )


def _ranked(settings: Settings, folder: Path) -> tuple[list[Path], dict[str, float]]:
    """Write the leaderboard of all votes so far; returns its files and metrics."""
    # Imported here: most of what is delivered needs no statistics.
    from llmflowlab.lab.arena_boards import boards
    from llmflowlab.lab.leaderboard_page import write_boards_html
    from llmflowlab.people.leaderboard import board_metrics

    found = boards(settings)
    files = [folder / "leaderboard.json", folder / "leaderboard.html"]
    write_document(_json(found.to_json()), files[0])
    write_boards_html(found, files[1])
    return files, {} if found.people is None else board_metrics(found.people)


def _json(values: Any) -> str:
    return json.dumps(values, ensure_ascii=False, indent=2, allow_nan=False)


def _params(start: ArenaStart) -> dict[str, str]:
    known: dict[str, Any] = {
        "candidates": ", ".join(candidate.label for candidate in start.candidates),
        "person": start.person,
        "pairing": start.pairing,
        "data": start.data,
        "budget_usd": start.budget_usd,
    }
    return {name: str(value) for name, value in known.items() if value is not None}


def _trace(
    start: ArenaStart, side: ArenaAnswer, votes: Sequence[ArenaVote], run_id: str
) -> RowTrace:
    from llmflowlab.tracking.evaluation_rows import AssessmentValue, RowTrace
    from llmflowlab.tracking.spans import SpanSpec, TokenUse

    answer, candidate = side.answer, start.candidates[side.candidate]
    begin = answer.started_ms * 1_000_000
    end = begin + int((answer.took or 0.0) * 1e9)
    spent = answer.spent
    tokens = TokenUse(
        prompt=answer.prompt_tokens,
        completion=answer.completion_tokens,
        cached=answer.cached_tokens,
        cost_usd=None if spent is None else float(spent),
    )
    said = [
        (vote.person, result)
        for vote in votes
        if vote.number == side.battle and (result := _result(vote, side.trace_id)) is not None
    ]
    span = SpanSpec(
        name=candidate.model,
        kind="CHAT_MODEL",
        inputs={"messages": list(side.messages), **candidate.parameters.given()},
        outputs={"choices": [{"message": {"role": "assistant", "content": answer.text}}]},
        start_ns=begin,
        end_ns=end,
        ok=answer.answered,
        error=answer.error,
        tokens=tokens,
        model=answer.model_version or candidate.model_id,
        provider=candidate.provider,
        attributes={"tries": answer.tries, "waited_seconds": answer.waited},
    )
    return RowTrace(
        name="arena_answer",
        trace_id=side.trace_id,
        run_id=run_id,
        question=side.prompt,
        answer=answer.text,
        start_ns=begin,
        end_ns=end,
        ok=answer.answered,
        error=answer.error,
        tokens=tokens,
        spans=[span],
        expected=None,
        digest=digest_of([answer.to_json(), said]),
        assessments=[
            AssessmentValue(name=QUESTION, value=result, person=who) for who, result in said
        ],
        tags={
            "llmflowlab.battle": str(side.battle),
            "llmflowlab.candidate": candidate.label,
            "llmflowlab.model": candidate.model,
            **({"llmflowlab.category": side.category} if side.category else {}),
        },
    )


def _result(vote: ArenaVote, trace_id: str) -> str | None:
    """Return what a vote says of one of its two answers; None of any other."""
    sides: Mapping[str | None, str] = {vote.a.trace_id: "a", vote.b.trace_id: "b"}
    if trace_id not in sides:
        return None
    if vote.verdict in {"tie", "both_bad"}:
        return vote.verdict
    return "won" if vote.verdict == sides[trace_id] else "lost"
