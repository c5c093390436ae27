"""The arena without a screen: two answers at once, a vote that knows no names, and nothing lost."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from contextlib import closing
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.errors import ConfigurationError, InputError, ProviderError, TrackingError
from llmflowlab.lab.arena import Arena, Fought, Said
from llmflowlab.lab.arena_delivery import figures_of
from llmflowlab.lab.arena_journal import read_arena
from llmflowlab.lab.arena_request import ArenaRequest
from llmflowlab.lab.arenas_left import arenas_left
from llmflowlab.lab.deliverer import deliver, on_the_way
from llmflowlab.lab.fight import Place
from llmflowlab.lab.lab import Lab
from llmflowlab.people.votes import votes_of
from llmflowlab.providers.base import Finished, StreamEvent, TextDelta
from llmflowlab.providers.scripted import Script, ScriptedProvider
from llmflowlab.settings import Settings
from llmflowlab.text.style import style_of
from llmflowlab.tracking.journal import Journal
from tests.cli.fakes import FakeLab
from tests.e2e.stored import Everything
from tests.full_disk import TROUBLES, no_writing
from tests.patience import hold
from tests.tracking.helpers import settings_for


class Seen:
    """A view that remembers."""

    def __init__(self) -> None:
        self.text: dict[Place, str] = {"left": "", "right": ""}
        self.heard: list[str] = []

    def begin(self, number: int, prompt: str) -> None:
        self.heard.append(f"{number}: {prompt}")

    def event(self, place: Place, event: StreamEvent) -> None:
        if isinstance(event, TextDelta):
            self.text[place] += event.text

    def wait(self, place: Place, notice: object) -> None:
        self.heard.append(f"{place} waits")

    def tick(self) -> None:
        pass

    def ended(self, place: Place) -> None:
        self.heard.append(f"{place} ended")

    def close(self) -> None:
        self.heard.append("closed")


class Priceless(ScriptedProvider):
    free = False


def arena(
    settings: Settings,
    *scripts: Script,
    request: Mapping[str, Any] | None = None,
    kind: type[ScriptedProvider] = ScriptedProvider,
) -> Arena:
    """Return an arena of models that answer the same each time."""
    models = [
        kind(default=script, model=f"m{number}", settings=settings)
        for number, script in enumerate(scripts, 1)
    ]
    lab = FakeLab(settings, providers=models)
    names = [model.reference for model in models]
    return Arena(lab, ArenaRequest(**{"models": names, "person": "Ann", **(request or {})}))


def model_of(fought: Fought, place: Place) -> str:
    return {"left": fought.left, "right": fought.right}[place].candidate.model


def place_of(fought: Fought, model: str) -> Place:
    return "left" if fought.left.candidate.model == model else "right"


def test_both_answers_are_shown_without_a_name_and_are_on_disk_before_the_vote(
    settings: Settings,
) -> None:
    with closing(arena(settings, "I am one.", "I am two.")) as held:
        seen = Seen()
        fought = held.fight("Who are you?", seen)
        (path,) = arenas_left(settings)
        kept = read_arena(path)
        assert kept is not None
        assert sorted(side.answer.text for side in kept.answers) == ["I am one.", "I am two."]
        assert votes_of(held._words) == []
    assert {seen.text["left"], seen.text["right"]} == {"I am one.", "I am two."}
    assert seen.text["left"] == fought.left.answer.text
    assert seen.heard[0] == "1: Who are you?"
    assert seen.heard[-1] == "closed"
    assert not any("scripted" in said or "m1" in said for said in seen.heard)
    assert fought.failures == []


def test_a_vote_is_of_the_answer_and_says_where_it_stood(settings: Settings) -> None:
    sides = set()
    with closing(arena(settings, "one", "two", request={"seed": 5})) as held:
        for _ in range(12):
            fought = held.fight("Say.", Seen())
            place = place_of(fought, "scripted:m2")
            held.vote(fought, place)
            sides.add(place)
        votes = votes_of(held._words, held.start.arena)
    assert sides == {"left", "right"}
    assert {vote.verdict for vote in votes} == {"b"}
    assert {vote.b.contestant.model for vote in votes} == {"scripted:m2"}
    assert {vote.left for vote in votes} == {"a", "b"}
    assert {(vote.person, vote.pairing, vote.prompt) for vote in votes} == {
        ("Ann", "teaching", "Say.")
    }
    assert votes[0].a.style == style_of("one")


def test_who_stands_left_changes_by_chance_and_a_seed_repeats_it(settings: Settings) -> None:
    def places(seed: int) -> list[str]:
        with closing(arena(settings, "one", "two", "three", request={"seed": seed})) as held:
            return [model_of(held.fight("Say.", Seen()), "left") for _ in range(15)]

    assert set(places(1)) == {"scripted:m1", "scripted:m2", "scripted:m3"}
    assert places(1) == places(1)
    assert places(1) != places(2)


def test_the_last_vote_can_be_taken_back_and_cast_anew(settings: Settings) -> None:
    with closing(arena(settings, "one", "two")) as held:
        assert held.undo() is None
        first, second = held.fight("A?", Seen()), held.fight("B?", Seen())
        held.vote(first, "tie")
        held.vote(second, "left")
        assert held.undo() is second
        assert [vote.number for vote in votes_of(held._words)] == [1]
        held.vote(second, "both_bad", again=True)
        votes = votes_of(held._words)
        assert [(v.number, v.verdict, v.names_known) for v in votes] == [
            (1, "tie", False),
            (2, "both_bad", True),
        ]
        assert (held.undo(), held.undo(), held.undo()) == (second, first, None)
        assert votes_of(held._words) == []


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (ProviderError("It is down.", provider="scripted"), "answer_failed"),
        ([TextDelta("half a"), Finished("length")], "answer_cut"),
        ([TextDelta("  "), Finished("stop")], "answer_empty"),
    ],
)
def test_a_battle_without_two_whole_answers_is_kept_and_nobody_may_vote(
    settings: Settings, script: Script, reason: str
) -> None:
    with closing(arena(settings, "one", script)) as held:
        fought = held.fight("Say.", Seen())
        ((place, side),) = fought.failures
        assert side.candidate.model == "scripted:m2"
        assert side.answer.why_not_scored == reason
        with pytest.raises(AssertionError):
            held.vote(fought, place)
        (path,) = arenas_left(settings)
        kept = read_arena(path)
        assert kept is not None
        assert figures_of(kept.answers, []).not_counted == 1


def test_leaving_in_the_middle_keeps_what_came(settings: Settings) -> None:
    class Impatient(Seen):
        def event(self, place: Place, event: StreamEvent) -> None:
            raise KeyboardInterrupt

    left = threading.Event()
    script: Script = [TextDelta("one "), partial(hold, left), TextDelta("two"), Finished("stop")]
    with closing(arena(settings, script, script)) as held:
        with pytest.raises(KeyboardInterrupt):
            held.fight("Say.", Impatient())
        assert held.battles == []
    left.set()
    (path,) = arenas_left(settings)
    kept = read_arena(path)
    assert kept is not None
    assert kept.ended
    assert {side.battle for side in kept.answers} == {1}
    assert figures_of(kept.answers, []).not_counted == 1


def test_a_torn_last_line_costs_itself_alone(settings: Settings) -> None:
    with closing(arena(settings, "one", "two")) as held:
        held.fight("Say.", Seen())
    (path,) = arenas_left(settings)
    path.write_bytes(path.read_bytes() + b'{"kind": "answ')
    kept = read_arena(path)
    assert kept is not None
    assert len(kept.answers) == 2


def test_prompts_are_drawn_from_a_file_each_once_with_what_the_file_says_of_them(
    settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "few.csv"
    file.write_text(
        "question,category,language\nOne?,sums,en\nZwei?,talk,de\nTrois?,talk,fr\n", "utf-8"
    )
    with closing(arena(settings, "x", "y", request={"data": file, "seed": 3})) as held:
        drawn = []
        while (row := held.drawn()) is not None:
            fought = held.fight(row, Seen())
            held.vote(fought, "left")
            drawn.append(row.question)
        votes = votes_of(held._words)
    assert sorted(drawn) == ["One?", "Trois?", "Zwei?"]
    assert sorted((v.prompt, v.category, v.language) for v in votes) == [
        ("One?", "sums", "en"),
        ("Trois?", "talk", "fr"),
        ("Zwei?", "talk", "de"),
    ]


def test_one_model_fights_itself_under_two_system_prompts(settings: Settings) -> None:
    model = ScriptedProvider(default=lambda request: request.system or "", settings=settings)
    lab = FakeLab(settings, providers=[model])
    asked = ArenaRequest(models=["scripted:model"], systems=["Be brief.", "Be long."])
    with closing(Arena(lab, asked)) as held:
        fought = held.fight("Say.", Seen())
    assert {side.answer.text for side in fought.sides} == {"Be brief.", "Be long."}
    assert [one.label for one in held.contestants] == [
        "scripted:model (system 1)",
        "scripted:model (system 2)",
    ]


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"models": ["scripted:m1"]}, "needs two candidates"),
        ({"models": ["scripted:m1", "scripted:m1"]}, "named twice"),
        ({"systems": ["Speak {{language}}."]}, "language"),
        ({"data": Path("nowhere.csv")}, "nowhere.csv"),
    ],
)
def test_what_makes_no_arena_is_refused_before_anything_is_asked(
    settings: Settings, request_: Mapping[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        arena(settings, "one", "two", request=request_)
    assert arenas_left(settings) == []


def test_a_budget_needs_prices(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match=r"none is known for scripted:m1, scripted:m2"):
        arena(settings, "one", "two", request={"budget": Decimal(1)}, kind=Priceless)


def test_guardrails_take_what_they_mask_out_of_what_is_kept(
    settings: Settings, tmp_path: Path
) -> None:
    policy = tmp_path / "masking.yaml"
    policy.write_text("in: {personal_data: mask}\n", "utf-8")
    with closing(arena(settings, "one", "two", request={"guardrails": [str(policy)]})) as held:
        fought = held.fight("Write to ann@example.org please.", Seen())
        held.vote(fought, "left")
        (vote,) = votes_of(held._words)
    (path,) = arenas_left(settings)
    assert "ann@example.org" not in path.read_text("utf-8")
    assert "ann@example.org" not in vote.prompt


@pytest.fixture
def delivered(mlflow_home: Path) -> Settings:
    return settings_for(mlflow_home)


def test_an_arena_is_a_run_with_a_trace_an_answer_and_the_votes_as_a_persons(
    delivered: Settings,
) -> None:
    with closing(arena(delivered, "one", "two")) as held:
        votes: tuple[Said, ...] = ("left", "tie", "both_bad")
        for vote in votes:
            held.vote(held.fight("Say.", Seen()), vote)
        held.fight("No vote.", Seen())
        first = held.battles[0]
    left = on_the_way(delivered)
    assert left is not None
    assert left.what == "1 arena"
    for _ in range(2):
        assert deliver(delivered, linger=0, patience=0, sleep=lambda seconds: None)
    assert on_the_way(delivered) is None
    stored = Everything(delivered)
    (run,) = stored.arenas()
    assert run.info.run_name == "Arena_Scripted"
    assert run.info.status == "FINISHED"
    own = {name: v for name, v in run.data.metrics.items() if not name.startswith("leaderboard/")}
    assert own == {
        "battles": 4.0,
        "votes": 3.0,
        "ties": 1.0,
        "both_bad": 1.0,
        "battles_not_counted": 0.0,
        "total_tokens": 18.0,
        "total_cost_estimate": 0.0,
    }
    traces = {trace.info.trace_id: trace for trace in stored.traces_of(run)}
    assert len(traces) == 8
    said = {
        trace_id: [
            (a.name, a.feedback.value, a.source.source_type, a.source.source_id)
            for a in trace.info.assessments
        ]
        for trace_id, trace in traces.items()
    }
    assert said[first.left.trace_id] == [("preference", "won", "HUMAN", "Ann")]
    assert said[first.right.trace_id] == [("preference", "lost", "HUMAN", "Ann")]
    values = [value for each in said.values() for _, value, *_ in each]
    assert sorted(values) == ["both_bad", "both_bad", "lost", "tie", "tie", "won"]


def test_a_store_that_is_away_costs_nothing_and_an_undone_vote_does_not_arrive(
    delivered: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmflowlab.tracking import store
    from llmflowlab.tracking.store_errors import StoreUnreachable

    with closing(arena(delivered, "one", "two")) as held:
        held.vote(held.fight("Say.", Seen()), "left")
        held.undo()

    def away(settings: Settings) -> store.Store:
        raise StoreUnreachable("MLflow does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(store, "open_store", away)
        assert not deliver(delivered, linger=0, patience=0, sleep=lambda seconds: None)
    left = on_the_way(delivered)
    assert left is not None
    assert left.arenas == 1
    assert str(left.problem).startswith("MLflow does not answer; the arena is kept in")
    assert deliver(delivered, linger=0, patience=0, sleep=lambda seconds: None)
    (run,) = Everything(delivered).arenas()
    assert run.data.metrics["votes"] == 0
    assert all(not t.info.assessments for t in Everything(delivered).traces_of(run))


def test_an_arena_whose_process_died_is_delivered_as_killed(delivered: Settings) -> None:
    held = arena(delivered, "one", "two")
    held.vote(held.fight("Say.", Seen()), "left")
    assert deliver(delivered, linger=0, patience=0, sleep=lambda seconds: None)
    assert len(arenas_left(delivered)) == 1
    # As the system does with the locks of a process that is gone.
    held._journal._journal.release()
    assert deliver(delivered, linger=0, patience=0, sleep=lambda seconds: None)
    (run,) = Everything(delivered).arenas()
    assert run.info.status == "KILLED"
    assert run.data.metrics["votes"] == 1
    assert arenas_left(delivered) == []
    held._words.close()


@pytest.mark.parametrize(("says", "why"), TROUBLES.items())
def test_a_vote_that_no_disk_takes_is_not_cast_and_can_be_cast_again(
    settings: Settings, says: str, why: str
) -> None:
    with closing(arena(settings, "one", "two")) as held:
        fought = held.fight("Say.", Seen())
        with no_writing(says), pytest.raises(TrackingError, match=re.escape(why)):
            held.vote(fought, "left")
        assert held.voted == {}
        held.vote(fought, "right")
        with no_writing(says), pytest.raises(TrackingError, match=re.escape(why)):
            held.undo()
        assert list(held.voted) == [1]
    with closing(Lab(settings).words()) as words:
        assert [vote.number for vote in votes_of(words)] == [1]


def test_a_battle_that_no_disk_takes_does_not_count(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(journal: Journal) -> None:
        raise OSError(28, "No space left on device")

    with closing(arena(settings, "one", "two")) as held:
        with monkeypatch.context() as patch:
            patch.setattr(Journal, "flush", full)
            with pytest.raises(TrackingError, match=r"No space left.*does not count"):
                held.fight("Say.", Seen())
        assert held.battles == []
        fought = held.fight("Again.", Seen())
        assert fought.number == 2
        held.vote(fought, "tie")
        assert held.undo() is fought
