"""A canary from its beginning to its alarm, with models whose change is known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from llmflowlab.cli.monitor.canary_words import changed_lines
from llmflowlab.errors import ConfigurationError, InputError, Overloaded, ProviderError
from llmflowlab.monitoring import canary_search
from llmflowlab.monitoring.canary import CanaryRequest, RoundAsked, begin_canary, run_rounds
from llmflowlab.monitoring.canary_layers import chances_moved, watches
from llmflowlab.monitoring.canary_power import samples_needed
from llmflowlab.monitoring.canary_rounds import Round, SuiteReply
from llmflowlab.monitoring.canary_store import CanaryFolder, all_canaries
from llmflowlab.monitoring.canary_verdict import verdict
from llmflowlab.providers.scripted import ScriptedProvider
from llmflowlab.settings import Settings
from tests.cli.fakes import FakeLab
from tests.known import known
from tests.monitoring.canary_models import OPEN, canary, model, rounds


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    # One call after the other, so that a seeded model says the same at every run.
    return Settings(home=tmp_path, environment={}, concurrency=1)


@pytest.fixture(autouse=True)
def candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary_search, "CANDIDATES", OPEN)


def lab(settings: Settings, provider: ScriptedProvider) -> FakeLab:
    return FakeLab(settings, providers=[provider])


def asked(steps: Iterator[RoundAsked | ProviderError], n: int) -> list[RoundAsked]:
    found = list(islice(steps, n))
    assert all(isinstance(one, RoundAsked) for one in found)
    return [one for one in found if isinstance(one, RoundAsked)]


def begin(settings: Settings, provider: ScriptedProvider, **more: object) -> None:
    wanted: dict[str, object] = {"prompts": 24, "questions": 0, "every": 86_400.0, **more}
    request = CanaryRequest(name="desk", model="scripted:model", **wanted)  # type: ignore[arg-type]
    assert begin_canary(lab(settings, provider), request).sure


def test_a_swapped_model_is_noticed_within_ten_rounds_and_an_unchanged_one_is_not(
    settings: Settings,
) -> None:
    begin(settings, model("one"))
    quiet = asked(run_rounds(lab(settings, model("one")), "desk"), 12 + 15)
    assert [one.verdict.state for one in quiet[11:]] == ["quiet"] * 16
    other = asked(run_rounds(lab(settings, model("two", certain=0.48)), "desk"), 10)
    assert other[-1].verdict.changed
    words = other[-1].verdict.layers[0]
    assert words.layer == "words"
    assert 28 <= known(words.alarmed_at) <= 37
    assert set(words.most_changed) < set(OPEN)
    # The alarm stands, whoever answers then.
    again = asked(run_rounds(lab(settings, model("one")), "desk"), 1)
    assert again[-1].verdict.changed


def test_chances_that_are_told_are_what_is_watched(settings: Settings) -> None:
    begin(settings, model("one"))
    quiet = asked(run_rounds(lab(settings, model("one", tells=True)), "desk"), 12 + 10)
    assert quiet[-1].verdict.state == "quiet"
    said = CanaryFolder(settings, "desk").rounds()[0]
    # Chances of the parts of a word, and no luck in them.
    assert all(len({round(one, 9) for one in each}) == 1 for each in said.chances)
    assert all(0.4 <= each[0] <= 0.6 for each in said.chances)
    assert quiet[-1].verdict.chances_moved == ()
    # A provider that tells no more is no other model.
    mute = asked(run_rounds(lab(settings, model("one")), "desk"), 3)
    assert mute[-1].verdict.state == "quiet"
    other = asked(run_rounds(lab(settings, model("two", certain=0.48, tells=True)), "desk"), 1)
    verdict = other[0].verdict
    assert verdict.changed
    assert len(verdict.chances_moved) > 20
    assert not any(layer.alarmed_at for layer in verdict.layers)
    assert "That is certain." in changed_lines(verdict)[0]


def test_chances_that_wandered_before_are_no_evidence_later() -> None:
    watched = canary(choices=3, learning=1, baseline=1)
    told = [(0.5, 0.5, 0.5), (0.52, 0.7, 0.5), (0.44, 0.2, 0.5), (0.41, 0.5, 0.61)]
    found = [
        replace(one, chances=tuple((each,) for each in chances))
        for one, chances in zip(rounds(4), told, strict=True)
    ]
    # 0.41 is 0.11 from 0.52; the second prompt's lay 0.2 apart when nothing had changed.
    assert chances_moved(watched, found) == [(), (0, 2)]
    assert chances_moved(watched, [replace(found[0], chances=()), *found[1:]]) == []
    assert chances_moved(watched, [*found[:2], replace(found[2], chances=())]) == [()]


def test_another_set_up_is_said_and_no_alarm(settings: Settings) -> None:
    begin(settings, model("one"))
    asked(run_rounds(lab(settings, model("one", set_up="fp_1")), "desk"), 13)
    said = asked(run_rounds(lab(settings, model("one", set_up="fp_2")), "desk"), 1)[0].verdict
    assert (said.state, said.fingerprints_new) == ("quiet", ("fp_2",))
    assert "fp_2" in changed_lines(said)[0]
    assert "no alarm" in changed_lines(said)[0]


def test_another_served_name_is_certain_at_once(settings: Settings) -> None:
    begin(settings, model("one"))
    asked(run_rounds(lab(settings, model("one")), "desk"), 13)
    said = asked(run_rounds(lab(settings, model("one", served="served-2")), "desk"), 1)[0].verdict
    assert (said.state, said.served_new, said.served_before) == (
        "changed",
        ("served-2",),
        ("served-1",),
    )
    assert not any(layer.alarmed_at for layer in said.layers)


def test_only_prompts_at_the_border_are_chosen(settings: Settings) -> None:
    certain = model("one", certain=0.5)
    request = CanaryRequest(name="desk", model="scripted:model", questions=2)
    begun = begin_canary(lab(settings, certain), request)
    assert begun.canary.choices == ()
    assert not begun.sure
    assert len(begun.canary.questions) == 2
    with pytest.raises(InputError, match=r"no border prompts"):
        begin_canary(
            lab(settings, certain), CanaryRequest(name="x", model="scripted:model", questions=0)
        )


def test_a_name_is_taken_once_unless_it_is_begun_again(settings: Settings) -> None:
    begin(settings, model("one"))
    with pytest.raises(InputError, match="--again"):
        begin(settings, model("one"))
    begin(settings, model("one"), again=True)
    assert [folder.name for folder in all_canaries(settings)] == ["desk"]
    kept = settings.state_dir / "canaries" / "desk.before-1"
    assert (kept / "canary.json").is_file()


def test_what_a_crash_left_is_cut_off_and_what_was_whole_stays(settings: Settings) -> None:
    begin(settings, model("one"))
    asked(run_rounds(lab(settings, model("one")), "desk"), 2)
    folder = CanaryFolder(settings, "desk")
    file = folder.path / "rounds.jsonl"
    with file.open("ab") as opened:
        opened.write(b'{"at_ms": 17, "wor')
    assert len(folder.rounds()) == 2
    assert asked(run_rounds(lab(settings, model("one")), "desk"), 1)[0].number == 3
    assert [json.loads(line)["at_ms"] > 17 for line in file.read_text().splitlines()] == [True] * 3
    file.write_bytes(b"{}\n" + file.read_bytes())
    with pytest.raises(InputError, match="Line 1 of"):
        folder.rounds()


def test_one_process_runs_a_canary(settings: Settings) -> None:
    begin(settings, model("one"))
    with (
        CanaryFolder(settings, "desk").alone(),
        pytest.raises(InputError, match="Another process runs the canary desk"),
    ):
        next(run_rounds(lab(settings, model("one")), "desk"))


def test_a_round_without_answers_counts_for_nothing_and_the_next_goes_on(
    settings: Settings,
) -> None:
    begin(settings, model("one"))
    down = True

    def answer(request: object) -> object:
        if down:
            return Overloaded("It is overloaded.", provider="scripted")
        return "Yes."

    hasty = replace(settings, max_tries=1)
    steps = run_rounds(lab(hasty, ScriptedProvider(default=answer)), "desk")  # type: ignore[arg-type]
    first = next(steps)
    assert isinstance(first, ProviderError)
    assert "It is overloaded." in first.message
    down = False
    second = next(steps)
    assert isinstance(second, RoundAsked)
    assert second.number == 1


def test_a_budget_needs_a_price(settings: Settings) -> None:
    begin(settings, model("one"))
    provider = model("one")
    provider.free = False  # type: ignore[misc]
    with pytest.raises(ConfigurationError, match="A budget needs prices"):
        next(run_rounds(lab(settings, provider), "desk", budget=1))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "a/../b\n", "x" * 201])
def test_what_is_no_name_is_refused(settings: Settings, name: str) -> None:
    with pytest.raises(InputError, match="no name of a canary"):
        CanaryFolder(settings, name)


def test_two_names_never_meet_in_one_folder(settings: Settings) -> None:
    names = ("a b", "a_b", "A_b", "a-b", "a/b", "a:b", "a_20_b", "..", ".")
    paths = {CanaryFolder(settings, name).path for name in names}
    assert len(paths) == len(names)
    assert {path.parent for path in paths} == {settings.state_dir / "canaries"}


def reply(i: int, **changed: float) -> SuiteReply:
    usual = {"right": 1.0, "refused": 0.0, "length": 90 + 17 * (i % 3), "seconds": 1 + i % 5 / 10}
    return SuiteReply(**{**usual, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("layer", "changed", "within"),
    [
        ("right", {"right": 0.0}, 12),
        ("length", {"length": 400}, 48),
        ("refusals", {"refused": 1.0}, 12),
        ("latency", {"seconds": 9.0}, 24 * 13),
    ],
)
def test_each_layer_notices_its_own_change_alone(
    layer: str, changed: dict[str, float], within: int
) -> None:
    plan = canary(questions=10, learning=8, baseline=16)

    def alarms(so_far: list[Round]) -> list[str]:
        found = watches(plan, so_far)
        return [name for name, watch in found.items() if watch.alarmed(plan.share(name))]

    quiet = rounds(96, replies=lambda i: [reply(i + j) for j in range(10)])
    assert alarms(quiet) == []
    after = rounds(within, replies=lambda i: [reply(i + j, **changed) for j in range(10)])
    assert alarms(quiet + after) == [layer]


def test_what_is_not_known_is_no_evidence() -> None:
    plan = canary(questions=2)
    nothing = SuiteReply()
    found = watches(plan, rounds(40, replies=lambda i: [nothing, nothing]))
    assert all(watch.e_value < 1 for watch in found.values())
    said = verdict(plan, rounds(40, replies=lambda i: [nothing, nothing]))
    assert said.before.right is None
    assert said.before.seconds is None


def test_words_that_were_not_heard_before_are_a_change_too() -> None:
    plan = canary(choices=24)

    def said(i: int) -> list[tuple[str, ...]]:
        return [("yes", "no", "yes", "maybe") for _ in range(24)]

    def new(i: int) -> list[tuple[str, ...]]:
        return [("yes",) if (i + j) % 2 else ("aye",) for j in range(24)]

    begun = rounds(12, words=said)
    before = [("yes",), ("no",)]
    same = rounds(16, words=lambda i: [before[(i + j) % 2] for j in range(24)])
    alpha = plan.share("new_words")
    assert not watches(plan, [*begun, *same])["new_words"].alarmed(alpha)
    found = watches(plan, [*begun, *rounds(16, words=new)])
    assert found["new_words"].alarmed(alpha)
    assert not found["words"].alarmed(plan.share("words"))


def test_more_prompts_need_fewer_samples_and_too_few_are_never_enough() -> None:
    needed = [samples_needed(n, 0.05, 5.3, 720) for n in (8, 32, 48)]
    assert needed[0] is None
    assert known(needed[1]) >= known(needed[2])


def test_a_canary_comes_back_as_it_was(settings: Settings) -> None:
    plan = canary(choices=3, questions=2)
    folder = CanaryFolder(settings, "desk")
    assert folder.begin(plan) is None
    assert folder.canary() == plan
    for one in rounds(2, words=lambda i: [("yes",)] * 3, replies=lambda i: [reply(i), reply(i)]):
        folder.append(one)
    assert folder.rounds() == rounds(
        2, words=lambda i: [("yes",)] * 3, replies=lambda i: [reply(i), reply(i)]
    )
