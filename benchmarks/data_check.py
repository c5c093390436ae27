"""How long the dataset doctor takes for a large file, against merely reading it.

Two kinds of file: free questions of which one in twenty is a misspelt copy, and questions that are all
made from one template.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.table import Line
from llmflowlab.data.check import examine
from llmflowlab.data.dataset import load_dataset


def measure(*, quick: bool) -> Iterator[Line]:
    rows = 10_000 if quick else 100_000
    draw = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(draw.choices(letters, k=draw.randint(2, 9))) for _ in range(20_000)]
    free = ["what is the " + " ".join(draw.choices(words, k=9)) for _ in range(rows)]
    free[: rows // 20] = [q.replace("what is", "waht is") for q in free[-(rows // 20) :]]
    template = [
        f"What is the capital of {' '.join(draw.choices(words, k=2))}? Answer with the city only."
        for _ in range(rows)
    ]
    with tempfile.TemporaryDirectory() as folder:
        for name, questions in (("free", free), ("template", template)):
            file = Path(folder) / f"{name}.csv"
            lines = [f"{q},answer {i}" for i, q in enumerate(questions)]
            file.write_text("question,answer\n" + "\n".join(lines) + "\n", encoding="utf-8")
            began = time.perf_counter()
            load_dataset(file)
            read = time.perf_counter() - began
            began = time.perf_counter()
            report = examine(file, mapping={}, detect=lambda text: None)
            seconds = time.perf_counter() - began
            yield Line(
                what=f"`data check` of {rows:,} {name} questions, over reading them",
                reached=seconds / read,
                unit="×",
                note=f"{seconds:.1f} s; {len(report.findings):,} findings",
            )
