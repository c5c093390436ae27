"""Time to the first token through the lab against the bare SDK, and until the prompt is back.

In one process, warm, alternating; medians. "Prompt back" is what lies between the last token and the
next prompt: telling the language, and the turn in the journal, flushed to disk.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import server
from benchmarks.table import Line
from llmflowlab.asking.calling import CallPolicy
from llmflowlab.asking.metering import Metering
from llmflowlab.asking.paid import Asker
from llmflowlab.messages import Message, Request
from llmflowlab.providers.base import StreamEvent, TextDelta
from llmflowlab.providers.event_loop import blocking
from llmflowlab.providers.openai.provider import OpenAIProvider
from llmflowlab.settings import load_settings
from llmflowlab.text.cost import Prices
from llmflowlab.text.language import LanguageDetector
from llmflowlab.text.tokens import TokenCounter
from llmflowlab.tracking.journal import Journal
from llmflowlab.tracking.records import TurnRecord, new_trace_id, now_text


def measure(*, quick: bool) -> Iterator[Line]:
    rounds = 30 if quick else 100
    with tempfile.TemporaryDirectory() as folder, server("--latency-ms", "0") as url:
        environ = {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "benchmark"}
        settings = load_settings(environ, cwd=Path(folder), stdin_is_terminal=False)
        provider = OpenAIProvider("bench", settings)
        provider.prepare()
        metering = Metering(TokenCounter(), Prices(settings))
        asker = Asker(provider, policy=CallPolicy(), metering=metering)
        pairs = [(_bare(provider), _lab(asker)) for _ in range(rounds)]
        detector = LanguageDetector(settings.models_dir)
        detector.detect("warm")
        journal = Journal(Path(folder) / "journal.jsonl")
        journal.acquire()
        back = [_back(journal, detector) for _ in range(rounds)]
        journal.release()
    bare, lab = (statistics.median(times) for times in zip(*pairs, strict=True))
    yield Line(
        what="first token in chat, over the bare SDK's",
        reached=(lab - bare) * 1000,
        unit="ms",
        must=3,
        beyond=1,
        note=f"{lab / bare:.2f} ×; prompt back after {statistics.median(back) * 1000:.1f} ms",
    )


def _bare(provider: OpenAIProvider) -> float:
    client = provider._sdk_over(provider._client())

    async def first_token() -> float:
        began = time.perf_counter()
        stream = await client.chat.completions.create(
            model="bench", messages=[{"role": "user", "content": "q1"}], stream=True
        )
        first = 0.0
        async for chunk in stream:
            if not first and chunk.choices and chunk.choices[0].delta.content:
                first = time.perf_counter() - began
        return first

    return blocking(first_token())


def _lab(asker: Asker) -> float:
    first: list[float] = []

    def on_event(event: StreamEvent) -> None:
        if isinstance(event, TextDelta) and not first:
            first.append(time.perf_counter() - began)

    began = time.perf_counter()
    request = Request(messages=(Message("user", "q1"),))
    asker.ask_blocking(request, on_event=on_event)
    return first[0]


def _back(journal: Journal, detector: LanguageDetector) -> float:
    answer = "The sky is blue because air scatters short waves more than long ones. " * 10
    began = time.perf_counter()
    language = detector.detect(answer)
    turn = TurnRecord(
        trace_id=new_trace_id(),
        index=0,
        date=now_text(),
        started_ms=0,
        prompt="Why is the sky blue?",
        answer=answer,
        language=language.code,
        language_confidence=language.confidence,
    )
    journal.append("turn", turn)
    return time.perf_counter() - began
