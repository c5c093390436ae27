"""How long the guardrails' rules take over a text of 2,000 characters, and whether 200,000 take a hundred times that.

The texts are the lab's own pages, which are full of paths, tables and numbers, and the support desk's
questions in their languages. Each is searched as what a person writes, by the usual policy; times are of the processor.
"""

from __future__ import annotations

import csv
import statistics
import time
from collections.abc import Iterator

from benchmarks.processes import ROOT
from benchmarks.table import Line
from llmflowlab.guardrails.policy import DEFAULT
from llmflowlab.guardrails.scanning import scan

LENGTH = 2_000
LONG = 200_000


def measure(*, quick: bool) -> Iterator[Line]:
    rounds = 3 if quick else 15
    for name, text in (("the lab's pages", _pages()), ("the desk's questions", _questions())):
        texts = [text[at : at + LENGTH] for at in range(0, len(text) - LENGTH + 1, LENGTH)]
        # What is read and compiled once is no text's.
        for each in texts:
            _milliseconds(each)
        taken = [_milliseconds(each) for _ in range(rounds) for each in texts]
        note = f"{len(texts)} texts, {rounds} times each; the quickest {min(taken):.2f} ms"
        median = statistics.median(taken)
        yield Line(
            what=f"rules over 2 kB of {name}, median",
            reached=median,
            unit="ms",
            must=1.0,
            beyond=0.7,
            note=note,
        )
        yield Line(
            what=f"rules over 2 kB of {name}, 95 of 100 within",
            reached=statistics.quantiles(taken, n=20)[-1],
            unit="ms",
            must=5.0,
            beyond=2.0,
        )
        long = (text * (LONG // len(text) + 1))[:LONG]
        whole = statistics.median(_milliseconds(long) for _ in range(rounds))
        yield Line(
            what=f"rules over 200 kB of {name}, over as much in texts of 2 kB",
            reached=whole / (statistics.fmean(taken) * LONG / LENGTH),
            unit="×",
            must=1.5,
            beyond=1.1,
            note=f"{whole:.0f} ms",
        )


def _milliseconds(text: str) -> float:
    began = time.thread_time()
    scan(text, DEFAULT, "in")
    return (time.thread_time() - began) * 1_000


def _pages() -> str:
    files = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return "\n".join(file.read_text("utf-8") for file in files)


def _questions() -> str:
    file = ROOT / "llmflowlab" / "prompts" / "support_desk.csv"
    with file.open(encoding="utf-8", newline="") as rows:
        return "\n".join(row["question"] for row in csv.DictReader(rows))
