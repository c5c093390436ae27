"""`info` over 5,000 sessions, as a whole process, beside the interpreter importing questionary."""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from benchmarks.harness import environment
from benchmarks.processes import timed
from benchmarks.table import Line
from llmflowlab.tracking.summaries import SessionSummary, summary_to_json

MODELS = ("gemini:gemini-2.5-flash", "ollama:llama3.2", "openai:gpt-4.1-mini", "guide:docs")


def measure(*, quick: bool) -> Iterator[Line]:
    sessions, rounds = 5000, 3 if quick else 5
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        env = environment(home, "http://127.0.0.1:9/v1")
        state = home / ".llmflowlab"
        state.mkdir()
        lines = [json.dumps(summary_to_json(_session(number, rng))) for number in range(sessions)]
        (state / "sessions.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        seconds, bare = [], []
        for _ in range(rounds):
            found = timed([sys.executable, "main.py", "info"], env)
            assert found.code == 0, found.output
            assert f"{sessions:,} sessions" in found.output, found.output[-500:]
            seconds.append(found.wall)
            bare.append(timed([sys.executable, "-c", "import questionary"], env).wall)
    ratio = statistics.median(seconds) / statistics.median(bare)
    yield Line(
        what=f"`info` over {sessions:,} sessions",
        reached=statistics.median(seconds),
        unit="s",
        must=0.3,
        beyond=0.1,
        note=f"{ratio:.1f} × `import questionary`",
    )


def _session(number: int, rng: random.Random) -> SessionSummary:
    provider, _, model = rng.choice(MODELS).partition(":")
    return SessionSummary(
        session_id=f"{number:032x}",
        run_id=f"{number:032x}",
        provider=provider,
        model_name=provider.capitalize(),
        model_id=model,
        started="2026-01-01 12:00:00",
        turns=5,
        failed_turns=0,
        prompt_tokens=rng.randint(50, 500),
        completion_tokens=rng.randint(50, 500),
        total_tokens=600,
        cost=Decimal("0.001"),
        avg_inference_time=rng.random(),
        p50_inference_time=rng.random(),
        p95_inference_time=rng.random(),
        avg_time_to_first_token=rng.random(),
        tokens_per_second=rng.random() * 100,
    )
