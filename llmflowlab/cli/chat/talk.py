"""Someone talking: the chat with the screen around it, shared by the loop and the slash commands."""

from __future__ import annotations

from contextlib import nullcontext

from llmflowlab.asking.interruption import interruptible
from llmflowlab.cli.chat.echo import unechoed
from llmflowlab.cli.chat.stream import MarkdownView, PlainView, SilentView
from llmflowlab.cli.chat.turn_line import summary_line
from llmflowlab.cli.chat.waiting_sign import sign_for
from llmflowlab.cli.context import App
from llmflowlab.cli.ui.screen import Screen
from llmflowlab.errors import LabError
from llmflowlab.lab.chat_events import AnswerView
from llmflowlab.lab.chat_session import Chat, TurnOutcome
from llmflowlab.tracking.records import TurnRecord

__all__ = ["Talk"]


class Talk:
    """Shows answers and what is to be said about them.

    Args:
        app: The program's parts.
        chat: The chat.
        silent: Leave answers and their numbers out, for JSON output.
        thinking: Show the model's thinking as it comes.
        hears: Whether slash commands are heard; what is said names options of the program otherwise.
    """

    def __init__(
        self,
        app: App,
        chat: Chat,
        *,
        silent: bool = False,
        thinking: bool = False,
        hears: bool = True,
    ) -> None:
        self.app = app
        self.chat = chat
        self.last_prompt: str | None = None
        """What /retry sends again."""
        self.thinking = thinking
        """Whether thinking is shown as it comes; `/thinking` changes it."""
        self.leaving = False
        """Set by /exit."""
        self._silent = silent
        self._hears = hears

    @property
    def screen(self) -> Screen:
        return self.app.screen

    def answer(self, prompt: str) -> TurnOutcome:
        """Ask, show the answer, and say its numbers or what went wrong."""
        self.last_prompt = prompt
        with nullcontext() if self.screen.plain else unechoed(), interruptible() as pressed:
            outcome = self.chat.ask(prompt, self._view(), cancelled=pressed)
        if not self._silent:
            self._conclude(outcome.record)
        if outcome.error is not None:
            self._explain(outcome.record, outcome.error)
        return outcome

    def _view(self) -> AnswerView:
        name = self.chat.provider.display_name
        if self._silent:
            return SilentView(self.screen, name)
        if self.screen.plain:
            return PlainView(self.screen, name, thinking=self.thinking)
        from llmflowlab.cli.ui.terminal import TerminalScreen

        assert isinstance(self.screen, TerminalScreen)
        return MarkdownView(
            self.screen,
            name,
            self.screen.console(),
            sign=sign_for(name),
            thinking=self.thinking,
        )

    @property
    def _again(self) -> str:
        return "; /retry asks again" if self._hears else ""

    def _conclude(self, record: TurnRecord) -> None:
        if record.unanswered:
            return
        if record.state == "interrupted":
            kept = "what came is kept" if record.answer else "nothing had come yet"
            self.screen.note(f"(stopped: {kept}{self._again})")
        option = "/set max_tokens" if self._hears else "--max-tokens"
        if record.finish_reason == "length":
            self.screen.note(
                f"(cut at the token limit; {option} changes it)"
                if record.answer
                else f"(no text: the thinking used the token limit up; raise it with {option})"
            )
        elif record.finish_reason == "safety":
            self.screen.note("(the provider's safety filter ended this answer)")
        elif record.state == "complete" and not record.answer:
            self.screen.note(f"(the model sent an empty answer{self._again})")
        if record.answer or record.reasoning:
            self.screen.note(summary_line(record))
        if record.reasoning and not self.thinking:
            key = "/thinking" if self.screen.plain else "Ctrl-T or /thinking"
            key = key if self._hears else "--thinking"
            self.screen.note(f"(it thought before it answered; {key} shows its thinking)")

    def _explain(self, record: TurnRecord, error: LabError) -> None:
        self.screen.warn(error.message)
        if record.state == "incomplete" and not self._silent:
            self.screen.note(f"(what came is kept and marked incomplete{self._again})")
