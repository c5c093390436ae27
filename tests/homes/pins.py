"""Everything under which something is kept or found again, made by the program of today.

`golden_0_1_0.json` holds what 0.1.0 made of the same; this module alone knows how such objects are built. An answer, a judgement or a vector whose key changes is paid for again.
"""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

from llmflowlab.asking.calling import CallPolicy
from llmflowlab.asking.metering import Metering
from llmflowlab.candidate import Candidate
from llmflowlab.data.dataset import Dataset, load_dataset, sample
from llmflowlab.data.past import row_key as past_key
from llmflowlab.data.stratified import stratified_sample
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.judging import Judge
from llmflowlab.evaluation.judging.judged_scorers import build_judged_scorer, with_instructions
from llmflowlab.evaluation.judging.scorer import Panel
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.outcomes import Outcome
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.evaluation.scorers.base import parse_scorer
from llmflowlab.evaluation.scorers.embedding import Embedder, EmbeddingScorer
from llmflowlab.messages import Parameters
from llmflowlab.people.sheets import row_key as sheet_key
from llmflowlab.providers.factory import build
from llmflowlab.settings import load_settings
from llmflowlab.text.cost import Prices
from llmflowlab.text.tokens import TokenCounter

__all__ = ["digests", "kept_keys"]

EVALUATION = "20260101-000000-abcd"
TEXTS = """\
question,answer,answer_2,context,guidelines,category,language,id
What is 2 + 2?,4,four,,,arithmetic,en,a
What is 2 + 2?,4,four,,,arithmetic,en,b
What is 2 + 2?,five,,,,arithmetic,en,c
Wie heißt die Hauptstadt von Österreich?,Wien,Vienna,,"Answer in German.\nOne word.",facts,de,d
日本の首都は？,東京,,日本は島国です。,,facts,ja,e
"=1+1, ""quoted"" 🙂",,,,,open,,f
"""
CONVERSATIONS: list[dict[str, Any]] = [
    {
        "messages": [
            {"role": "system", "content": "You talk with {{name}}."},
            {"role": "user", "content": "Ich mag Köln."},
            {"role": "assistant", "content": "Schön."},
            {"role": "user", "content": "Which city?"},
        ],
        "params": {"temperature": 0.5, "max_tokens": 30, "custom_inputs": {"name": "Ada"}},
        "answer": "Köln",
    },
    {"messages": [{"role": "user", "content": "Say yes."}], "params": {}, "answer": "yes"},
]
OWN_JUDGE = """\
scale: 1-5
version: 3
title: is it kind

How kind is {{ answer }} as an answer to {{ question }}?
"""
ANSWERS = ("Paris", "", "東京です。 🙂", "a\nb")
SPECS = {
    "bare": Candidate(model="openai:gpt-4.1-mini", display_name="OpenAI", supplier="OpenAI"),
    "system": Candidate(
        model="gemini:gemini-2.5-flash",
        display_name="Gemini",
        supplier="Google",
        system="Antworte knapp. ✓",
        variant="system 2",
    ),
    "parameters": Candidate(
        model="ollama:llama3.2:latest",
        display_name="Ollama",
        supplier="Ollama",
        system="Be kind.",
        prompt="tone@1",
        parameters=Parameters(temperature=0.2, top_p=1.0, max_tokens=60, seed=7),
        variant="temperature 0.2",
    ),
    "cold": Candidate(
        model="mlflow:llm_guide_chat/2",
        display_name="MLflow",
        supplier="MLflow",
        system="",
        parameters=Parameters(temperature=0.0),
    ),
}
CANDIDATES = {
    "bare": Candidate(model="guide:docs", display_name="Guide", supplier="LLMFlowLab"),
    "whole": Candidate(
        model="gemini:gemini-2.5-flash",
        display_name="Gemini",
        supplier="Google",
        system="Antworte knapp. ✓",
        prompt="tone@2",
        parameters=Parameters(temperature=0.2, top_p=0.9, max_tokens=60, seed=7),
    ),
    "zero": Candidate(
        model="openai:gpt-4.1-mini",
        display_name="OpenAI",
        supplier="OpenAI",
        system="",
        parameters=Parameters(temperature=0.0, seed=0),
    ),
}
SCORERS = (
    "contains",
    "brief=length:max=40",
    'form=regex:pattern="a, ""b""",ignore_case',
    "near=embedding_similarity:model=openai:text-embedding-3-small",
)
JUDGED = ("correctness", "guidelines", "safety", "kindly=support_tone", "preference")


def digests(folder: Path) -> dict[str, Any]:
    """Return every pinned digest by what it is of; files are written to `folder`."""
    data = _datasets(folder)
    found: dict[str, Any] = {f"dataset.digest, {name}": one.digest for name, one in data.items()}
    found |= {f"CandidateSpec.digest, {name}": spec.digest for name, spec in SPECS.items()}
    found |= {f"CandidateSpec.label, {name}": spec.label for name, spec in SPECS.items()}
    found |= {f"candidate_digest, {name}": c.version_digest for name, c in CANDIDATES.items()}
    found |= {f"ScorerSpec, {text}": parse_scorer(text).to_json() for text in SCORERS}
    for name in ("texts", "conversations"):
        plan = _plan(data[name])
        for cell in plan.cells():
            where = f"{name} {cell.candidate}:{cell.row}:{cell.trial}"
            found[f"answer_key, {where}"] = plan.answer_key(cell)
            if cell.candidate in {0, 2}:
                found[f"trace_id, {where}"] = plan.trace_id(cell)
                found[f"sheets.row_key, {where}"] = sheet_key(plan, cell)
        for row in data[name].rows:
            found[f"past.row_key, {name} {row.index}"] = past_key(row)
        found[f"row_order until decided, {name}"] = list(_plan(data[name], decide=0.05).row_order)
    return found | _judgement_keys(folder, data["texts"])


def kept_keys(home: Path, evaluation: str) -> dict[str, Any]:
    """Return the keys under which the program looks for what a home's evaluation has kept."""
    with closing(Ledger(home / ".llmflowlab" / "evaluations.db")) as ledger:
        plan = ledger.plan(evaluation)
        outcomes = [Outcome.from_json(record) for _, record in ledger.outcomes(evaluation)]
    return {
        "dataset": plan.dataset.digest,
        "file": load_dataset(home / plan.dataset.path.name).digest,
        "answers": {plan.answer_key(cell) for cell in plan.cells()},
        "outcomes": {outcome.key for outcome in outcomes},
        "traces": {plan.trace_id(o.cell): o.digest for o in outcomes},
        "sheet": {sheet_key(plan, cell) for cell in plan.cells()},
    }


def _datasets(folder: Path) -> dict[str, Dataset]:
    texts, conversations = folder / "texts.csv", folder / "conversations.jsonl"
    texts.write_text(TEXTS, encoding="utf-8", newline="")
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in CONVERSATIONS]
    conversations.write_text("".join(lines), encoding="utf-8", newline="")
    loaded = load_dataset(texts)
    return {
        "texts": loaded,
        "conversations": load_dataset(conversations),
        "sample of texts": sample(loaded, 3, 5),
        "stratified sample of texts": stratified_sample(loaded, 4, 5, by="category"),
    }


def _plan(data: Dataset, *, decide: float | None = None) -> EvaluationPlan:
    return EvaluationPlan(
        evaluation_id=EVALUATION,
        dataset=data,
        candidates=tuple(SPECS.values())[: 2 if decide else None],
        scorers=("contains",),
        judge=None,
        trials=1 if decide else 2,
        until_decided=decide,
        order_seed=3,
    )


def _judgement_keys(folder: Path, data: Dataset) -> dict[str, Any]:
    settings = load_settings(
        {"ANTHROPIC_API_KEY": "none", "LLMFLOWLAB_HOME": str(folder)},
        cwd=folder,
        stdin_is_terminal=False,
    )
    metering, policy = Metering(TokenCounter(), Prices(settings)), CallPolicy()
    judges = [
        Judge(build(reference, settings), policy=policy, metering=metering)
        for reference in ("anthropic:claude-haiku-4-5", "ollama:qwen3:4b")
    ]
    own = folder / "kind.txt"
    own.write_text(OWN_JUDGE, encoding="utf-8")
    specs = [with_instructions(parse_scorer(text)) for text in (*JUDGED, f"kind=judge:file={own}")]
    answers = [AnswerRecord(text=text, state="complete") for text in ANSWERS]
    found: dict[str, Any] = {}
    for spec in specs:
        scorer: Any = build_judged_scorer(spec, Panel(judges=tuple(judges), runs=2))
        for row in data.rows[2:5]:
            for number, answer in enumerate(answers):
                opponents = ({1: answers[0]},) if spec.kind == "preference" else ()
                keys = [one.key for one in scorer.judgements(row, answer, *opponents)]
                found[f"judgement keys, {spec.name} {row.index} answer {number}"] = keys
    with closing(Ledger(folder / "pins.db")) as ledger:
        embedder = Embedder(
            build("ollama:nomic-embed-text", settings),
            ledger=ledger,
            policy=policy,
            metering=metering,
        )
        near: Any = EmbeddingScorer(parse_scorer("near=embedding_similarity"), embedder)
        for row in data.rows[2:5]:
            (one,) = near.judgements(row, answers[2])
            found[f"judgement keys, embedding {row.index}"] = [one.key]
    return found
