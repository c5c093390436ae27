"""Two programs at once on one home, and what `--json` promises to scripts."""

from __future__ import annotations

from collections import Counter

from tests.e2e.documents import TURN_KEYS
from tests.e2e.program import Lab
from tests.e2e.stored import Everything
from tests.loopback import LoopbackServer


def test_two_chats_at_once_on_one_home_lose_no_record(
    connected: Lab, loopback: LoopbackServer
) -> None:
    command = ("chat", "--model", "openai:gpt-4.1-mini")
    with connected.start(*command) as one, connected.start(*command) as other:
        for number in range(4):
            one.type(f"one {number}")
            other.type(f"other {number}")
        one.wait_for("tokens/s", times=4)
        other.wait_for("tokens/s", times=4)
        ended = [one.end(), other.end()]
    assert [e.code for e in ended] == [0, 0], ended
    expected = Counter(f"{who} {number}" for who in ("one", "other") for number in range(4))
    assert Counter(record["prompt"] for record in connected.records("openai")) == expected
    # One of them may have left its session to the next start, because the other held the store.
    third = connected.run("chat", "--model", "guide", "--message", "token", "--json")
    assert third.code == 0
    assert sorted(third.document) == ["model", "prompt", "run_id", "session_id", "turns"]
    assert [sorted(turn) for turn in third.document["turns"]] == [TURN_KEYS]
    assert connected.journals() == []
    stored = Everything(connected.settings)
    chats = [run for run in stored.runs() if run.info.run_name == "Chat_OpenAI"]
    assert [run.data.metrics["turns"] for run in chats] == [4, 4]
    assert [len(stored.traces_of(run)) for run in chats] == [4, 4]
    assert len(stored.versions("llm_openai_chat")) == 1
    assert None not in [record["run_id"] for record in connected.records("openai")]


def test_json_documents_are_all_there_is_on_standard_output(connected: Lab) -> None:
    info = connected.run("info", "--json")
    assert info.code == 0
    assert sorted(info.document) == [
        *("improve", "models", "no_paired_because", "paired", "sessions", "winners")
    ]
    models = connected.run("models", "--json")
    assert models.code == 0
    assert models.document
    assert "gemini-2.5-flash" in models.out
    doctor = connected.run("doctor", "--json")
    assert doctor.code == 0
    assert doctor.document
    connected.assert_no_secret(info.said, models.said, doctor.said)


def test_doctor_ends_with_3_where_nothing_but_the_guide_works(lab: Lab) -> None:
    ended = lab.run("doctor", "--json")
    assert ended.code == 3
    assert ended.document
