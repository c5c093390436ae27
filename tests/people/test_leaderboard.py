"""Leaderboards of planted votes: who is strongest, how sure that is, and what length and Markdown explain."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from llmflowlab.people.board_agreement import agreement_of
from llmflowlab.people.leaderboard import (
    Leaderboard,
    Met,
    board_metrics,
    leaderboard,
    met_in,
)
from llmflowlab.people.opponents import next_opponents
from llmflowlab.people.votes import ArenaVote, Contestant, Fighter, Verdict
from llmflowlab.people.words import Word
from llmflowlab.text.style import style_of


def who(name: str, label: str | None = None) -> Contestant:
    return Contestant(key=name * 8, label=label or name, model=f"scripted:{name}")


def fighter(name: str, text: str = "yes", **values: object) -> Fighter:
    return Fighter(contestant=who(name), trace_id=f"tr-{name}", style=style_of(text), **values)  # type: ignore[arg-type]


def met(
    a: str, b: str, score: float, prompt: str = "?", texts: tuple[str, str] = ("yes", "yes")
) -> Met:
    left, right = texts
    return Met(a=fighter(a, left), b=fighter(b, right), score=score, prompt=prompt)


def order(board: Leaderboard) -> list[str]:
    return [place.contestant.label for place in board.places]


def widths(board: Leaderboard) -> list[float]:
    return [place.interval.high - place.interval.low for place in board.places]


def vote(number: int, verdict: Verdict, **values: object) -> ArenaVote:
    defaults: dict[str, object] = {
        "arena": "one",
        "number": number,
        "person": "Ann",
        "verdict": verdict,
        "a": fighter("a", tokens=3, cost_usd="0.002", seconds=0.5),
        "b": fighter("b"),
        "left": "b",
        "prompt": f"Question {number}?",
        "category": "sums",
        "language": "en",
        "pairing": "random",
        "at_ms": 5,
        "seconds": 1.5,
    }
    return ArenaVote(**{**defaults, **values})  # type: ignore[arg-type]


def test_a_vote_comes_back_from_the_word_that_it_is_kept_as() -> None:
    given = vote(3, "both_bad", names_known=True)
    assert ArenaVote.of(Word.from_json(given.word().to_json())) == given


def test_planted_strengths_are_found_in_their_order_and_ranks_say_how_sure_that_is() -> None:
    chance, strength = random.Random(4), {"a": 0.0, "b": 1.0, "c": 2.5}
    found = []
    for number in range(600):
        one, two = chance.sample("abc", 2)
        wins = 1 / (1 + 2.718 ** (strength[two] - strength[one]))
        found.append(met(one, two, float(chance.random() < wins), f"Question {number}?"))
    many, few = leaderboard(found), leaderboard(found[:9])
    assert order(many) == ["c", "b", "a"]
    assert [place.ranks for place in many.places] == ["1", "2", "3"]
    assert {place.ranks for place in few.places} == {"1–3"}
    assert max(widths(many)) < min(widths(few))
    assert sum(place.wins for place in many.places) == len(found)


def test_a_tie_is_half_a_win_and_both_bad_is_one_and_counted() -> None:
    votes = [vote(1, "tie"), vote(2, "both_bad"), vote(3, "a"), vote(4, "b")]
    board = leaderboard(met_in(votes))
    first, second = board.places
    assert first.points == pytest.approx(1000) == second.points
    assert [(p.wins, p.ties, p.losses, p.both_bad) for p in board.places] == [(1, 2, 1, 1)] * 2
    assert board.matrix == [[None, 2.0], [2.0, None]]


def test_style_on_few_votes_is_no_figure_to_rely_on_and_says_so() -> None:
    few = [met("a", "b", 1.0, f"Question {n}?", ("yes", "yes, and **more**")) for n in range(6)]
    told = "6 battles cannot tell style from strength"
    assert any(told in note for note in leaderboard(few, style_control=True).notes())
    assert not any("style" in note for note in leaderboard(few).notes())
    many = leaderboard(few * 10, style_control=True)
    assert not any("cannot tell style" in note for note in many.notes())


def test_votes_cast_with_the_names_known_are_counted() -> None:
    board = leaderboard(met_in([vote(1, "a"), vote(2, "b", names_known=True)]))
    assert (board.names_known, board.to_json()["names_known"]) == (1, 1)
    assert any("1 of 2 votes was cast with the names known." in note for note in board.notes())


def test_time_and_money_are_means_and_unknown_is_not_zero() -> None:
    places = {p.contestant.label: p for p in leaderboard(met_in([vote(1, "a")])).places}
    assert (places["a"].seconds, str(places["a"].cost_usd)) == (0.5, "0.002")
    assert (places["b"].seconds, places["b"].cost_usd) == (None, None)


def test_two_of_one_label_are_told_apart() -> None:
    one, two = (Fighter(contestant=who(n, "same"), trace_id=None, style=style_of("")) for n in "xy")
    board = leaderboard([Met(a=one, b=two, score=1.0, prompt="?")])
    assert order(board) == ["same [xxxxxx]", "same [yyyyyy]"]
    assert len(board_metrics(board)) == 10


def test_who_never_met_has_no_figure_and_a_note_says_that_points_say_nothing_there() -> None:
    board = leaderboard([met("a", "b", 1.0), met("c", "d", 1.0)])
    assert not board.connected
    assert any("from everybody to everybody" in note for note in board.notes())
    place = order(board).index
    assert board.matrix[place("a")][place("c")] is None
    assert board.matrix[place("a")][place("b")] == 1.0


def test_asking_the_same_prompts_again_and_again_makes_nobody_surer() -> None:
    def votes(times: int) -> list[Met]:
        return [
            met("a", "b", float(number % 3 > 0), f"Question {number}?")
            for number in range(12)
            for _ in range(times)
        ]

    once, often = widths(leaderboard(votes(1)))[0], widths(leaderboard(votes(6)))[0]
    assert often > 0.8 * once
    apart = [met("a", "b", float(number % 3 > 0), f"Question {number}?") for number in range(72)]
    assert widths(leaderboard(apart))[0] < 0.6 * once
    assert any("Only 1 different prompt:" in n for n in leaderboard([met("a", "b", 1.0)]).notes())


def liked_for_length(battles: int = 600) -> list[Met]:
    """Return votes of people who like what is longer, and nothing else, of two that are as good."""
    chance, found = random.Random(9), []
    for number in range(battles):
        one, two = chance.sample(("verbose", "concise", "middle"), 2)
        usual = {"verbose": 200, "middle": 80, "concise": 40}
        words = {name: chance.randint(usual[name] // 2, usual[name] * 2) for name in (one, two)}
        longer = words[one] > words[two]
        likes = chance.random() < (0.8 if longer else 0.2)
        texts = ("word " * words[one], "word " * words[two])
        found.append(met(one, two, float(likes), f"Question {number}?", texts))
    return found


def test_style_control_at_least_halves_what_length_alone_brought() -> None:
    def gap(board: Leaderboard) -> float:
        points = {p.contestant.label: p.points for p in board.places}
        return points["verbose"] - points["concise"]

    battles = liked_for_length()
    plain, controlled = leaderboard(battles), leaderboard(battles, style_control=True)
    assert gap(plain) > 150
    assert abs(gap(controlled)) < gap(plain) / 2
    assert plain.style is None
    assert controlled.style is not None
    assert controlled.style["length"] > 50
    assert any("At equal style" in note for note in controlled.notes())


def test_two_leaderboards_agree_as_far_as_their_orders_do() -> None:
    def board(*ranked: str) -> Leaderboard:
        return leaderboard(
            [met(one, two, 1.0) for n, one in enumerate(ranked) for two in ranked[n + 1 :]]
        )

    agreed = agreement_of(board("a", "b", "c", "e"), board("b", "a", "c", "d"))
    assert (agreed.pairs, agreed.same_order) == (3, 2)
    assert agreed.kendall_tau == pytest.approx(1 / 3)
    none = agreement_of(board("a", "b"), board("c", "d"))
    assert (none.pairs, none.kendall_tau) == (0, None)


def test_pairs_that_teach_recover_strengths_with_fewer_votes_than_chance() -> None:
    people: Sequence[Contestant] = [who(name) for name in "abcdefgh"]
    strength = {person.key: 0.6 * place for place, person in enumerate(people)}

    def misplaced(teaching: bool, seed: int) -> int:
        chance = random.Random(seed)
        votes: list[ArenaVote] = []
        for number in range(150):
            one, two = (
                next_opponents(votes, people, chance)
                if teaching
                else chance.sample(range(len(people)), 2)
            )
            a, b = people[one], people[two]
            wins = 1 / (1 + 2.718 ** (strength[b.key] - strength[a.key]))
            sides = [Fighter(contestant=c, trace_id=None, style=style_of("")) for c in (a, b)]
            said: Verdict = "a" if chance.random() < wins else "b"
            votes.append(vote(number, said, a=sides[0], b=sides[1]))
        ranked = [strength[p.contestant.key] for p in leaderboard(met_in(votes)).places]
        return sum(x < y for n, x in enumerate(ranked) for y in ranked[n + 1 :])

    taught = sum(misplaced(True, seed) for seed in range(6))
    assert taught < sum(misplaced(False, seed) for seed in range(6))
