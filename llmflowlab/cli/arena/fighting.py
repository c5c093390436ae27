"""Battle after battle at the keys: prompt, two answers, a vote, and then the names."""

from __future__ import annotations

from collections.abc import Mapping

from llmflowlab.cli.arena.battle_view import battle_view, show_answers
from llmflowlab.cli.context import App
from llmflowlab.cli.formatting import count, dollars, plural, seconds
from llmflowlab.cli.ui.press import Key, press
from llmflowlab.cli.ui.screen import GoBack, Table
from llmflowlab.data.dataset import Row
from llmflowlab.errors import ProviderError, TrackingError
from llmflowlab.evaluation.scores import NotScored
from llmflowlab.lab.arena import Arena, Fought, Said
from llmflowlab.program import program_name

__all__ = ["fight_on"]

_VOTES: tuple[Key[Said], ...] = (
    Key(("left", "l"), "←", "left", "left", ("l",)),
    Key(("right", "r"), "→", "right", "right", ("r",)),
    Key(("t",), "t", "tie", "tie", ("t",)),
    Key(("b",), "b", "both bad", "both_bad", ("b", "bad", "both_bad")),
)
_SKIP: Key[str] = Key(("s",), "s", "skip", "skip", ("s",))
_UNDO: Key[str] = Key(("u",), "u", "undo last vote", "undo", ("u",))
_SAID: dict[str, Said] = {key.value: key.value for key in _VOTES}
_UNDO_TYPED = "/undo"
_NOT_WHOLE: Mapping[NotScored | None, str] = {
    "answer_cut": "the answer was cut at the token limit; raise it with --max-tokens.",
    "answer_empty": "the answer is empty.",
    "answer_filtered": "the provider's safety filter ended the answer.",
    "answer_tool_call": "it wants to call a tool instead of answering.",
    "prompt_cut": "the server shortened the prompt before the model read it.",
}
_IN_VAIN = 3
"""Battles in a row without two whole answers after which nobody goes on by itself."""


def fight_on(app: App, arena: Arena) -> None:
    """Hold battles until the person leaves, or each question of the file was asked.

    Raises:
        EndOfInput: Ctrl-D was pressed, or standard input has ended.
        KeyboardInterrupt: Ctrl-C was pressed.
        ProviderError: Battle after battle came to nothing.
        TrackingError: An answer or a vote could not be written down; those before are kept.
    """
    for remark in arena.remarks:
        app.screen.note(remark)
    names = ", ".join(candidate.label for candidate in arena.candidates)
    app.screen.note(f"{arena.person} votes on {names}. What is voted is kept at once.")
    kept = True
    try:
        _Rounds(app, arena).run()
    except GoBack:
        return
    except TrackingError:
        kept = False
        raise
    finally:
        if kept:
            _farewell(app, arena)


class _Rounds:
    def __init__(self, app: App, arena: Arena) -> None:
        self._app, self._arena, self._screen = app, arena, app.screen
        self._in_vain = 0

    def run(self) -> None:
        while (prompt := self._prompt()) is not None:
            fought = self._arena.fight(prompt, battle_view(self._screen))
            if fought.failures:
                self._explain(fought)
                if any(side.answer.state == "budget_exhausted" for side in fought.sides):
                    self._screen.warn("The budget is used up; begin another arena with --budget.")
                    return
                continue
            self._in_vain = 0
            self._vote(fought)
            self._reveal(fought)

    def _prompt(self) -> str | Row | None:
        arena = self._arena
        if arena.dataset is not None:
            row = arena.drawn()
            if row is None:
                self._screen.note("Each question of the file was asked.")
            return row
        while True:
            typed = self._screen.text("Prompt (/undo takes the last vote back)", check=_wrong)
            if typed != _UNDO_TYPED:
                return typed
            if (before := arena.undo()) is None:
                self._screen.warn("Nothing was voted yet.")
            else:
                self._again(before)

    def _explain(self, fought: Fought) -> None:
        for place, side in fought.failures:
            why = side.answer.error or _NOT_WHOLE.get(side.answer.why_not_whole, "no whole answer.")
            self._screen.warn(f"{place}, {side.candidate.label}: {why}")
        self._screen.note("This battle does not count, and nobody is asked for a vote.")
        self._in_vain += 1
        if self._in_vain == _IN_VAIN and self._arena.dataset is not None:
            raise ProviderError(
                f"{_IN_VAIN} battles in a row came to nothing, so the arena ends; see what the models "
                f"lack with {program_name()} doctor.",
                provider=side.candidate.provider,
            )

    def _vote(self, fought: Fought, *, again: bool = False) -> None:
        """Ask until the person has voted on a battle, or left it out."""
        while True:
            offered: list[Key[str]] = [*_SHOWN_VOTES, _SKIP]
            if self._arena.voted:
                offered.append(_UNDO)
            said = press(self._screen, "Which answer is better?", offered)
            if said in _SAID:
                self._arena.vote(fought, _SAID[said], again=again)
                return
            if said == _SKIP.value:
                return
            before = self._arena.undo()
            assert before is not None
            self._again(before)
            self._screen.note(f"Back to battle {fought.number}.")
            self._show(fought)

    def _again(self, before: Fought) -> None:
        self._screen.note(
            f"The vote on battle {before.number} is taken back. Vote again, or skip it."
        )
        self._show(before)
        self._vote(before, again=True)
        self._screen.note(f"Battle {before.number}: {self._verdict(before)}.")

    def _show(self, fought: Fought) -> None:
        self._screen.say(fought.shown)
        show_answers(self._screen, fought.left.answer.text, fought.right.answer.text)

    def _verdict(self, fought: Fought) -> str:
        """Say what was voted, with the sides as they stood."""
        vote = self._arena.voted.get(fought.number)
        if vote is None:
            return "skipped"
        said = vote.verdict.replace("_", " ")
        if vote.verdict in {"a", "b"}:
            said = "left is better" if vote.verdict == vote.left else "right is better"
        return f"{said}, voted with the names known" if vote.names_known else said

    def _reveal(self, fought: Fought) -> None:
        for sentence in self._arena.told():
            self._screen.note(f"({sentence})")
        rows = []
        for place, side in zip(("left", "right"), fought.sides, strict=True):
            answer = side.answer
            tokens = count(answer.completion_tokens, estimated=answer.tokens_estimated)
            rows.append(
                (
                    place,
                    side.candidate.label,
                    seconds(answer.latency),
                    tokens,
                    dollars(answer.spent),
                )
            )
        self._screen.table(
            Table(
                title=f"Battle {fought.number}: {self._verdict(fought)}",
                columns=("side", "model", "time", "tokens", "cost"),
                rows=tuple(rows),
                numbers=frozenset({2, 3, 4}),
            )
        )


_SHOWN_VOTES: tuple[Key[str], ...] = tuple(
    Key(key.keys, key.shown, key.title, str(key.value), key.names) for key in _VOTES
)


def _wrong(typed: str) -> str | None:
    return None if typed else "Type a prompt for both models, or /undo to take the last vote back."


def _farewell(app: App, arena: Arena) -> None:
    figures = arena.figures()
    if not figures.battles:
        return
    parts = [plural(figures.battles, "battle"), plural(figures.votes, "vote")]
    cost = dollars(figures.cost)
    parts.append("cost unknown" if cost is None else cost)
    app.screen.note(
        f"{', '.join(parts)}. All of it is kept here and on its way to MLflow's experiment "
        f"LLMS_Arena; {program_name()} arena leaderboard ranks the models."
    )
