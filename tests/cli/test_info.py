from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from llmflowlab.candidate import Candidate
from llmflowlab.cli import info_command
from llmflowlab.cli.history_browser import browse_history, matching
from llmflowlab.settings import Settings
from llmflowlab.tracking.records import SessionStart, TurnRecord
from llmflowlab.tracking.sinks.local_files import LocalRecords
from llmflowlab.tracking.summaries import summarise
from tests.cli.fakes import FakeApp, Typing


def remember(settings: Settings, provider: str, prompts: Iterable[str], **turn: Any) -> None:
    """Leave a finished session behind, as the delivery does."""
    start = SessionStart(
        session_id=f"session-of-{provider}",
        candidate=Candidate(model=f"{provider}:m", display_name=provider.title(), supplier="X"),
        started="2026-01-01 10:00:00",
        started_ms=1_767_261_600_000,
    )
    values: dict[str, Any] = {
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "cost_usd": "0.001",
        "inference_time": 1.0,
        "time_to_first_token": 0.1,
        **turn,
    }
    turns = [
        TurnRecord(
            trace_id=f"tr-{provider}-{index}",
            index=index,
            date=f"2026-01-01 10:{index:02}:00",
            started_ms=start.started_ms + index * 60_000,
            prompt=prompt,
            answer=f"answer to {prompt}",
            **values,
        )
        for index, prompt in enumerate(prompts)
    ]
    records = LocalRecords(settings, on_notice=pytest.fail)
    records.add_turns(start.candidate, turns, run_id=None)
    records.add_session(start, summarise(start, turns, run_id=None), model_version=None)


def test_an_empty_lab_says_so(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert info_command.show_info(FakeApp(settings), provider=None, as_json=False) == 0
    assert capsys.readouterr().out == (
        "Nothing is recorded yet: chat with a model or run an evaluation first.\n"
    )


def test_sessions_are_compared(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    remember(settings, "gemini", ["a"] * 6)
    remember(settings, "ollama", ["b"] * 6, cost_usd="0", inference_time=4.0)
    assert info_command.show_info(FakeApp(settings), provider=None, as_json=False) == 0
    seen = capsys.readouterr()
    assert seen.err == ""
    assert [line.rstrip() for line in seen.out.splitlines()] == [
        "Models compared",
        "model     turns  avg time  tokens    cost        quality",
        "--------  -----  --------  ------  ------  -------------",
        "gemini:m      6   1.0 s *   120 *  $0.001  not evaluated",
        "ollama:m      6     4.0 s   120 *  free *  not evaluated",
        "* the best of its column",
        "From 2 sessions of chat. Tokens: generated. Cost: per answered turn.",
        "",
        "Lowest average latency: gemini:m, 1.0 s",
        "Most tokens generated: gemini:m, ollama:m, 120 (tied)",
        "Cheapest per answered turn: ollama:m, free",
        "Best answers: unknown, nothing was evaluated yet",
        "",
        "What can be improved",
        "- Nothing was evaluated yet, so nobody knows which model answers best: run an evaluation.",
        "",
    ]


def test_one_provider_is_shown_with_its_parameters_and_metrics(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    remember(settings, "gemini", ["a"], cost_usd=None)
    remember(settings, "ollama", ["b"])
    assert info_command.show_info(FakeApp(settings), provider="gemini", as_json=False) == 0
    out = capsys.readouterr().out
    assert "ollama" not in out
    assert "Gemini, last session 2026-01-01 10:00:00\n" in out
    assert "  model_id                 m\n" in out
    assert "  total_tokens             30\n" in out
    assert "  total_cost_estimate      unknown\n" in out
    assert "None" not in out


def test_json_says_null_where_nothing_is_known(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    remember(settings, "gemini", ["a"], cost_usd=None)
    assert info_command.show_info(FakeApp(settings), provider=None, as_json=True) == 0
    document = json.loads(capsys.readouterr().out)
    (model,) = document["models"]
    assert (document["sessions"], model["model"], model["turns"]) == (1, "gemini:m", 1)
    assert (model["cost_usd"], model["quality"]) == (None, None)
    assert document["winners"] == {
        "latency": ["gemini:m"],
        "tokens": ["gemini:m"],
        "cost": [],
        "quality": [],
        "latency_evaluated": [],
        "cost_evaluated": [],
    }
    assert (model["evaluated"], document["paired"]) == (None, [])
    assert document["no_paired_because"] == "fewer than two models were evaluated"


def test_the_screen_leads_to_a_closer_look_and_back(
    settings: Settings, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    remember(settings, "gemini", ["a"])
    typed("1\nback\n")
    info_command.info_screen(FakeApp(settings))
    out = capsys.readouterr().out
    assert "  1 Gemini: parameters and metrics\n  2 Gemini: artifact history\n  3 Back\n" in out
    assert "  total_cost_estimate      $0.001\n" in out


def test_the_history_is_paged_searched_and_read_newest_first(
    settings: Settings, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    remember(settings, "gemini", [f"question {n}" for n in range(11)] + ["a \x1b[2Jtrick"])
    typed("n\np\ns\nQUESTION 3\nr\n1\na\nb\n")
    browse_history(FakeApp(settings), "gemini")
    out = capsys.readouterr().out
    assert "\x1b" not in out
    heads = [line for line in out.splitlines() if "newest first" in line]
    assert heads == [
        "Gemini: 1 to 10 of 12 records, newest first",
        "Gemini: 11 to 12 of 12 records, newest first",
        "Gemini: 1 to 10 of 12 records, newest first",
        "Gemini: 1 to 1 of 1 record with 'QUESTION 3', newest first",
        "Gemini: 1 to 1 of 1 record with 'QUESTION 3', newest first",
        "Gemini: 1 to 10 of 12 records, newest first",
    ]
    assert out.index("trick") < out.index("question 10") < out.index("question 9")
    assert "prompt\nquestion 3\nanswer\nanswer to question 3\n" in out


def test_a_search_wants_all_words_in_any_order() -> None:
    records: list[dict[str, Any]] = [
        {"prompt": "Red fish", "answer": "ok"},
        {"prompt": "red", "answer": None},
    ]
    assert matching(records, "FISH red") == records[:1]
    assert matching(records, "blue") == []


def test_a_history_that_holds_nothing_says_so(
    settings: Settings, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    typed("1\n")
    browse_history(FakeApp(settings), "guide")
    assert capsys.readouterr().out == "Guide: no records.\nHistory\n  1 Back\n> \n"
