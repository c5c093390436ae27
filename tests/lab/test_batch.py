"""Batches: what they read, how they go on, what they may cost, what they write."""

from __future__ import annotations

import csv
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from llmflowlab.errors import AuthenticationFailed, BadAnswer, ConfigurationError, InputError
from llmflowlab.lab.batch import (
    BatchRequest,
    BatchResult,
    PreparedBatch,
    run_batch,
)
from llmflowlab.lab.batch_journal import journal_of
from llmflowlab.lab.batch_rows import read_requests
from llmflowlab.lab.lab import Lab
from llmflowlab.messages import Request
from llmflowlab.providers.base import Finished, TextDelta, Usage, UsageReport
from llmflowlab.providers.scripted import Script, ScriptedProvider
from llmflowlab.serving.served_model import ServedModel
from llmflowlab.settings import Settings
from llmflowlab.tracking.registry import Version
from tests.patience import PATIENCE

VERSION = Version(
    name="m",
    version="1",
    stage=None,
    aliases=(),
    created_ms=0,
    run_id=None,
    model=None,
    source="",
    description="",
    tags={},
)


class Priced(ScriptedProvider):
    name = "gemini"
    free = False


def echo(request: Request) -> Script:
    return "re: " + request.messages[-1].content


def lab(settings: Settings, provider: ScriptedProvider) -> Lab:
    return Lab(settings, build=lambda reference: provider)


def prepared(
    file: Path, output: Path, *, version: str = "1", budget: Decimal | None = None
) -> PreparedBatch:
    rows, remarks = read_requests(file)
    return PreparedBatch(
        request=BatchRequest(
            version=f"m/{version}", input=file, output=output, concurrency=1, budget=budget
        ),
        version=replace(VERSION, version=version),
        rows=rows,
        remarks=remarks,
    )


def run(
    settings: Settings,
    provider: ScriptedProvider,
    batch: PreparedBatch,
    tick: Callable[[int], None] = lambda done: None,
) -> BatchResult:
    return run_batch(lab(settings, provider), batch, tick)


def questions(folder: Path, texts: Sequence[str]) -> Path:
    file = folder / "requests.jsonl"
    file.write_text("".join(json.dumps({"prompt": t}) + "\n" for t in texts), encoding="utf-8")
    return file


def interrupted_after(rows: int, settings: Settings, batch: PreparedBatch) -> int:
    """Press Ctrl-C once so many rows are done; returns how many were asked."""
    pressed = threading.Event()

    def press(done: int) -> None:
        if done >= rows and not pressed.is_set():
            pressed.set()
            raise KeyboardInterrupt

    def held() -> None:
        assert pressed.wait(PATIENCE)

    def late(request: Request) -> Script:
        return [held, TextDelta("re: " + request.messages[-1].content), Finished("stop")]

    provider = ScriptedProvider([echo] * rows, default=late)
    with pytest.raises(KeyboardInterrupt):
        run(settings, provider, batch, press)
    return len(provider.requests)


def lines(output: Path) -> list[dict[str, object]]:
    # Not `splitlines`: an answer may hold other line separators.
    return [json.loads(line) for line in output.read_text("utf-8").split("\n") if line]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("a.csv", "question;answer\nWie groß?;so\n".encode("cp1252"), id="cp1252"),
        pytest.param("a.csv", "prompt\nWie groß?\n".encode("utf-16"), id="utf-16"),
        pytest.param("a.tsv", "prompt\tparams\nWie groß?\t\n".encode(), id="tabs"),
        pytest.param("a.csv", "sep=;\nprompt;x\nWie groß?;1\n".encode("utf-8-sig"), id="sep"),
        pytest.param("a.json", '[{"prompt": "Wie groß?"}]'.encode(), id="array"),
        pytest.param("a.csv", "Input,y\nWie groß?,1\n".encode(), id="another-name"),
    ],
)
def test_a_batch_reads_what_an_evaluation_reads(tmp_path: Path, name: str, content: bytes) -> None:
    # A batch had a reader of its own, which refused all but UTF-8 with commas.
    file = tmp_path / name
    file.write_bytes(content)
    (row,), _ = read_requests(file)
    assert row.conversation is not None
    assert row.conversation.question == "Wie groß?"


def test_numbers_reach_the_model_as_numbers(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    row = {"prompt": "x", "params": {"temperature": 0.5, "custom_inputs": {"age": 3}}}
    file.write_text(json.dumps(row), encoding="utf-8")
    (read,), _ = read_requests(file)
    assert read.conversation is not None
    assert read.conversation.parameters.temperature == 0.5
    assert read.conversation.custom_inputs == {"age": 3}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param("prompt\n", "holds no row", id="empty"),
        pytest.param("a,b\n1,2\n", "question", id="no-question"),
    ],
)
def test_a_file_without_requests_is_refused(tmp_path: Path, content: str, why: str) -> None:
    file = tmp_path / "r.csv"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=why):
        read_requests(file)


def test_rows_keep_their_order_and_their_errors(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    rows: list[dict[str, object]] = [
        {"messages": [{"role": "user", "content": "a"}]},
        {"messages": "no json"},
        {"messages": [{"role": "user", "content": "fail"}]},
        {"messages": [{"role": "user", "content": "b"}], "params": {"top": 1}},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    refused = AuthenticationFailed("Key refused.", provider="scripted")

    def answer(request: Request) -> Script:
        return refused if request.messages[-1].content == "fail" else echo(request)

    seen: list[int] = []
    output = tmp_path / "o.jsonl"
    result = run(settings, ScriptedProvider(default=answer), prepared(file, output), seen.append)
    assert (result.rows, result.answered, result.failed, result.unreached) == (4, 1, 3, 0)
    assert (seen[0], seen[-1]) == (2, 4)
    written = lines(output)
    assert [line["row"] for line in written] == [1, 2, 3, 4]
    assert [line["content"] for line in written] == ["re: a", None, None, None]
    assert [line["error_reason"] for line in written] == [
        None,
        "bad_input",
        "authentication",
        "bad_input",
    ]
    assert list(written[0]) == [
        "row",
        "content",
        "model",
        "finish_reason",
        "prompt_tokens",
        "completion_tokens",
        "tokens_estimated",
        "error_reason",
        "error",
    ]


def test_a_killed_batch_goes_on_where_it_was(settings: Settings, tmp_path: Path) -> None:
    # Line separators and half a character in an answer once cut the journal in two.
    texts = ["0", "a\u2028b", "half \ud800", "3", "4", "4"]
    file, output = questions(tmp_path, texts), tmp_path / "o.jsonl"
    assert interrupted_after(3, settings, prepared(file, output)) >= 3
    assert not output.exists()
    assert journal_of(output).exists()
    with pytest.raises(InputError, match="another version"):
        run(settings, ScriptedProvider(default=echo), prepared(file, output, version="2"))
    second = ScriptedProvider(default=echo)
    result = run(settings, second, prepared(file, output))
    assert (result.answered, result.resumed + len(second.requests)) == (6, 6)
    assert result.resumed >= 3
    assert [line["content"] for line in lines(output)][-3:] == ["re: 3", "re: 4", "re: 4"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["o.jsonl", "requests.jsonl"]


def test_the_journal_of_an_earlier_version_is_not_taken_for_ours(
    settings: Settings, tmp_path: Path
) -> None:
    file, output = questions(tmp_path, ["a"]), tmp_path / "o.jsonl"
    journal_of(output).write_text('{"digest": "x", "version": "m/1"}\n', encoding="utf-8")
    with pytest.raises(InputError, match="move the file away"):
        run(settings, ScriptedProvider(default=echo), prepared(file, output))


def test_two_batches_do_not_write_one_output(settings: Settings, tmp_path: Path) -> None:
    batch = prepared(questions(tmp_path, ["a"]), tmp_path / "o.jsonl")
    refused = threading.Event()

    def second(request: Request) -> Script:
        with pytest.raises(InputError, match="Another batch is writing"):
            run(settings, ScriptedProvider(default=echo), batch)
        refused.set()
        return "x"

    assert run(settings, ScriptedProvider(default=second), batch).answered == 1
    assert refused.is_set()


def test_a_spreadsheet_is_safe_to_open(settings: Settings, tmp_path: Path) -> None:
    output = tmp_path / "o.csv"
    run(
        settings,
        ScriptedProvider(["=1+1", "Grüße"]),
        prepared(questions(tmp_path, ["a", "b"]), output),
    )
    with output.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["content"] for row in rows] == ["'=1+1", "Grüße"]
    assert rows[0]["error"] == ""


def priced(settings: Settings) -> Priced:
    settings.prices_file.write_text(
        '{"gemini:mine": {"input_per_million": "1", "output_per_million": "100"}}',
        encoding="utf-8",
    )
    usage = UsageReport(Usage(prompt_tokens=10, completion_tokens=1000))
    answer: Script = [TextDelta("x"), usage, Finished("stop")]
    return Priced(default=answer, model="mine", settings=settings)


def test_a_budget_holds_and_a_larger_one_goes_on(settings: Settings, tmp_path: Path) -> None:
    # An answer costs 0.10001 and may cost 0.41 at most, so that two answers leave too little.
    file, output = questions(tmp_path, [str(n) for n in range(4)]), tmp_path / "o.jsonl"
    first = priced(settings)
    result = run(settings, first, prepared(file, output, budget=Decimal("0.6")))
    assert (result.answered, result.unreached, result.failed) == (2, 2, 0)
    assert result.cost == Decimal("0.20002")
    assert [r.parameters.max_tokens for r in first.requests] == [4096, 4096]
    assert [line["error_reason"] for line in lines(output)][2:] == ["budget_exhausted"] * 2
    again = priced(settings)
    result = run(settings, again, prepared(file, output, budget=Decimal(2)))
    assert (result.answered, result.resumed, len(again.requests)) == (4, 2, 2)
    assert result.cost == Decimal("0.40004")
    assert not journal_of(output).exists()


def test_a_budget_needs_a_price(settings: Settings, tmp_path: Path) -> None:
    batch = prepared(questions(tmp_path, ["a"]), tmp_path / "o.jsonl", budget=Decimal(1))
    provider = Priced(default=echo, model="nobody-knows", settings=settings)
    with pytest.raises(ConfigurationError, match="A budget needs prices"):
        run(settings, provider, batch)
    assert provider.requests == []
    # Nothing remembers the budget that was refused.
    assert not journal_of(tmp_path / "o.jsonl").exists()


def test_a_batch_begun_without_a_budget_cannot_get_one(settings: Settings, tmp_path: Path) -> None:
    file, output = questions(tmp_path, ["a", "b"]), tmp_path / "o.jsonl"
    interrupted_after(1, settings, prepared(file, output))
    with pytest.raises(InputError, match="begun without a budget"):
        run(
            settings,
            priced(settings),
            prepared(file, output, budget=Decimal(1)),
        )


def test_a_row_that_a_table_could_not_answer_keeps_the_tables_own_reason() -> None:
    class Rows:
        def predict(self, table: object) -> list[str]:
            return [json.dumps({"content": None, "error": {"reason": "rate_limited"}})]

    served = ServedModel(Rows(), "table", streams=False, config={})
    with pytest.raises(BadAnswer) as caught:
        served.answer_rows([([{"role": "user", "content": "x"}], None)])
    assert caught.value.reason == "rate_limited"
    assert BadAnswer.reason == "bad_answer"
