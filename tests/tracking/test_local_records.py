from __future__ import annotations

import json
import threading
from decimal import Decimal
from typing import Any

import pytest

from llmflowlab.settings import Settings
from llmflowlab.tracking.session_index import SessionIndex
from llmflowlab.tracking.sinks.local_files import LocalRecords
from llmflowlab.tracking.summaries import newest, summarise
from tests.tracking.helpers import CANDIDATE, failed_turn, start, turn


def records(settings: Settings) -> list[dict[str, Any]]:
    text = (settings.artifacts_dir / "gemini_artifacts.json").read_text(encoding="utf-8")
    values: list[dict[str, Any]] = json.loads(text)
    return values


def test_a_record_has_the_promised_fields(settings: Settings) -> None:
    one = turn(0)
    LocalRecords(settings).add_turns(CANDIDATE, [one], run_id="r1")
    assert records(settings) == [
        {
            "date": "2026-11-20 10:00:00",
            "prompt": one.prompt,
            "answer": "Antwort 0",
            "model": "gemini:gemini-2.5-flash",
            "language": "de",
            "language_confidence": 0.98,
            "prompt_tokens": 10,
            "completion_tokens": 20,
            "tokens_estimated": False,
            "cost_usd": 0.0001,
            "inference_time": 2.0,
            "finish_reason": "stop",
            "run_id": "r1",
            "trace_id": one.trace_id,
        }
    ]


def test_what_is_unknown_is_null(settings: Settings) -> None:
    LocalRecords(settings).add_turns(CANDIDATE, [failed_turn(0)], run_id=None)
    (record,) = records(settings)
    assert record["finish_reason"] == "failed"
    unknown = {"cost_usd", "inference_time", "language", "prompt_tokens", "run_id"}
    assert all(record[name] is None for name in unknown)


def test_newest_stand_last_and_no_turn_stands_twice(settings: Settings) -> None:
    first, second = turn(0), turn(1)
    LocalRecords(settings).add_turns(CANDIDATE, [first], run_id="r1")
    LocalRecords(settings).add_turns(CANDIDATE, [first, second], run_id="r1")
    assert [r["trace_id"] for r in records(settings)] == [first.trace_id, second.trace_id]


def test_a_run_id_that_became_known_later_is_filled_in(settings: Settings) -> None:
    local = LocalRecords(settings)
    first, second = turn(0), turn(1)
    local.add_turns(CANDIDATE, [first, second], run_id=None)
    local.add_turns(CANDIDATE, [first, second], run_id="late")
    assert [r["run_id"] for r in records(settings)] == ["late", "late"]


def test_text_that_looks_like_a_record_changes_nothing(settings: Settings) -> None:
    sly = turn(1)
    quoting = turn(0, answer=f'"run_id": null,\n    "trace_id": "{sly.trace_id}"')
    local = LocalRecords(settings)
    local.add_turns(CANDIDATE, [quoting], run_id=None)
    local.add_turns(CANDIDATE, [quoting, sly], run_id="r")
    assert [r["answer"] for r in records(settings)] == [quoting.answer, sly.answer]
    assert [r["run_id"] for r in records(settings)] == ["r", "r"]


def test_a_file_in_another_layout_is_kept_and_extended(settings: Settings) -> None:
    settings.artifacts_dir.mkdir()
    file = settings.artifacts_dir / "gemini_artifacts.json"
    file.write_text('[{"prompt":"old","trace_id":"tr-0","run_id":null}]', encoding="utf-8")
    LocalRecords(settings).add_turns(CANDIDATE, [turn(0)], run_id="r")
    assert records(settings)[0]["prompt"] == "old"
    assert len(records(settings)) == 2


@pytest.mark.parametrize("content", ["[{", '{"a": 1}', ""], ids=["torn", "object", "empty"])
def test_a_file_that_is_no_array_is_set_aside_with_a_word(settings: Settings, content: str) -> None:
    settings.artifacts_dir.mkdir()
    (settings.artifacts_dir / "gemini_artifacts.json").write_text(content, encoding="utf-8")
    said: list[str] = []
    LocalRecords(settings, on_notice=said.append).add_turns(CANDIDATE, [turn(0)], run_id="r")
    assert len(records(settings)) == 1
    (aside,) = settings.artifacts_dir.glob("gemini_artifacts.json.bad-*")
    assert aside.read_text(encoding="utf-8") == content
    assert aside.name in said[0]


def test_a_file_changed_by_somebody_else_is_checked_again(settings: Settings) -> None:
    local = LocalRecords(settings)
    local.add_turns(CANDIDATE, [turn(0)], run_id="r")
    file = settings.artifacts_dir / "gemini_artifacts.json"
    file.write_text("broken", encoding="utf-8")
    local.add_turns(CANDIDATE, [turn(1)], run_id="r")
    assert len(records(settings)) == 1
    assert len(list(settings.artifacts_dir.glob("*.bad-*"))) == 1


def test_writers_at_once_lose_no_record(settings: Settings) -> None:
    turns = [[turn(i) for i in range(5)] for _ in range(4)]

    def write(mine: list[Any]) -> None:
        local = LocalRecords(settings)
        for one in mine:
            local.add_turns(CANDIDATE, [one], run_id="r")

    threads = [threading.Thread(target=write, args=(mine,)) for mine in turns]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written = {r["trace_id"] for r in records(settings)}
    assert written == {one.trace_id for mine in turns for one in mine}
    assert len(records(settings)) == 20


def test_info_holds_totals_over_sessions_and_the_last_one(settings: Settings) -> None:
    local = LocalRecords(settings)
    early, late = start(started="2026-11-20 10:00:00"), start(started="2026-11-20 11:00:00")
    local.add_session(
        early, summarise(early, [turn(0)], run_id="a"), model_version="gemini-2.5-flash-001"
    )
    local.add_session(late, summarise(late, [turn(0), turn(1)], run_id="b"), model_version=None)
    info = json.loads((settings.info_dir / "gemini_info.json").read_text(encoding="utf-8"))
    assert set(info) == {"parameters", "metrics", "sessions", "updated"}
    assert info["sessions"] == 2
    assert info["parameters"]["model_id"] == "gemini-2.5-flash"
    assert info["parameters"]["temperature"] == 0.2
    assert info["metrics"]["total"]["turns"] == 3
    assert info["metrics"]["total"]["total_tokens"] == 90
    assert info["metrics"]["total"]["total_cost_estimate"] == pytest.approx(0.0003)
    assert info["metrics"]["last_session"]["turns"] == 2


def test_of_two_sessions_of_one_second_the_later_one_is_the_last() -> None:
    # `info` showed the first of two chats that a script had begun in the same second.
    began = start(started="2026-11-20 11:00:00")
    first, second = (summarise(began, [turn(0)], run_id=name) for name in ("a", "b"))
    assert newest([first, second]) is second
    # One that began before and is delivered late does not take its place.
    late = summarise(start(started="2026-11-20 10:00:00"), [turn(0)], run_id="c")
    assert newest([first, second, late]) is second


def test_an_unknown_cost_of_one_session_makes_the_total_unknown(settings: Settings) -> None:
    local, one, two = LocalRecords(settings), start(), start()
    local.add_session(one, summarise(one, [turn(0)], run_id="a"), model_version=None)
    unpriced = summarise(two, [turn(0, cost_usd=None)], run_id="b")
    local.add_session(two, unpriced, model_version=None)
    info = json.loads((settings.info_dir / "gemini_info.json").read_text(encoding="utf-8"))
    assert info["metrics"]["total"]["total_cost_estimate"] is None


def test_a_session_that_is_entered_twice_counts_once(settings: Settings) -> None:
    local, one = LocalRecords(settings), start()
    local.add_session(one, summarise(one, [turn(0)], run_id=None), model_version=None)
    local.add_session(one, summarise(one, [turn(0)], run_id="r"), model_version=None)
    local.add_session(one, summarise(one, [turn(0)], run_id="r"), model_version=None)
    (session,) = SessionIndex(settings).load().sessions
    assert session.run_id == "r"
    assert session.cost == Decimal("0.0001")
    info = json.loads((settings.info_dir / "gemini_info.json").read_text(encoding="utf-8"))
    assert info["sessions"] == 1
    assert len(SessionIndex(settings).path.read_bytes().splitlines()) == 2


def test_a_line_that_a_crash_tore_costs_the_index_no_other(settings: Settings) -> None:
    index, one, two = SessionIndex(settings), start(), start()
    index.add(summarise(one, [turn(0)], run_id="a"))
    with index.path.open("ab") as file:
        file.write(b'{"session_id": "torn')
    index.add(summarise(two, [turn(0)], run_id="b"))
    contents = index.load()
    assert [s.run_id for s in contents.sessions] == ["a", "b"]
    assert contents.unreadable == 1
