"""Finished evaluations for the tests of reports, made without asking a model."""

from __future__ import annotations

import random
from pathlib import Path

from llmflowlab.candidate import Candidate
from llmflowlab.data.dataset import Dataset, Row
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.conclude.counting import build_result
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan
from llmflowlab.evaluation.scores import Score

HOSTILE = (
    "</script><script>document.title='OWNED'</script><img src=x onerror=\"document.title='OWNED'\">"
    "<!-- <svg onload=alert(1)> @@DATA@@ {{7*7}} =HYPERLINK(1)"
)


def made_result(
    rows: int = 12,
    *,
    candidates: int = 2,
    trials: int = 1,
    text: str | None = None,
    chance: tuple[float, ...] = (0.8, 0.6, 0.7),
    evaluation_id: str = "20260101-000000-abcd",
    seed: int = 7,
) -> EvaluationResult:
    """Return an evaluation with right, wrong, graded, unscored, failed and unreached answers.

    Args:
        rows: Questions.
        candidates: Up to three.
        trials: Repetitions.
        text: What every answer says; made up by default.
        chance: Of each candidate to be right.
        evaluation_id: Its id.
        seed: Of the draw.
    """
    dice = random.Random(seed)
    data = Dataset(
        name="made",
        rows=tuple(
            Row(
                index=n,
                line=n + 2,
                id=str(n + 1),
                question=f"What is the answer to question {n}? {text or ''}".strip(),
                expected=f"answer {n}",
                category=("facts", "sums", "naïve & <b>bold</b>")[n % 3],
                language=("en", "de")[n % 2],
                source={"question": f"question {n}", "answer": f"answer {n}"},
            )
            for n in range(rows)
        ),
        digest="d" * 64,
        path=Path("made.csv"),
        columns=("question", "answer"),
    )
    models = ("gemini:gemini-2.5-flash", "ollama:llama3.2", "azure:gpt-4.1-mini")
    plan = EvaluationPlan(
        evaluation_id=evaluation_id,
        dataset=data,
        candidates=tuple(
            Candidate(model=model, display_name="Made", supplier="Tests")
            for model in models[:candidates]
        ),
        scorers=("correctness", "contains", "token_f1"),
        judge="openai:gpt-4.1",
        trials=trials,
    )
    answers, scores = {}, {}
    for cell in plan.cells():
        right = dice.random() < chance[cell.candidate]
        if cell.row == 3 and cell.candidate == 0 and rows > 3:
            answers[cell] = AnswerRecord(
                text="", state="failed", reason="timeout", error="No word."
            )
            scores[cell] = {
                name: Score(scorer=name, not_scored="answer_failed") for name in plan.scorers
            }
            continue
        if cell.row == 5 and cell.candidate == candidates - 1 and rows > 5:
            continue
        answers[cell] = _answer(cell, right, text, dice)
        scores[cell] = _scores(cell, right, dice)
    return build_result(plan, answers, scores, reused=[0] * candidates)


def _answer(cell: Cell, right: bool, text: str | None, dice: random.Random) -> AnswerRecord:
    said = f"answer {cell.row}" if right else "something else entirely"
    return AnswerRecord(
        text=text or f"I would say that it is {said}, as candidate {cell.candidate} sees it.",
        state="complete",
        prompt_tokens=40,
        completion_tokens=12 + cell.row % 7,
        cost_usd=(None, "0", "0.00042")[cell.candidate] if cell.candidate else "0.0012",
        latency=round(dice.lognormvariate(-0.5 + 0.4 * cell.candidate, 0.5), 3),
        finish_reason="stop",
    )


def _scores(cell: Cell, right: bool, dice: random.Random) -> dict[str, Score]:
    judged = (
        Score(scorer="correctness", not_scored="judge_unparseable", judge="openai:gpt-4.1")
        if cell.row == 7
        else Score(
            scorer="correctness",
            value=float(right),
            rationale="It says what is expected." if right else "It says something else.",
            judge="openai:gpt-4.1",
        )
    )
    return {
        "correctness": judged,
        "contains": Score(scorer="contains", value=float(right or dice.random() < 0.1)),
        "token_f1": Score(
            scorer="token_f1", value=round(dice.uniform(0.6, 1) if right else 0.1, 3)
        ),
    }
