"""A chat: its conversation, its sessions, and each turn's way from prompt to record."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmflowlab.asking.calling import Answer, CallPolicy, call
from llmflowlab.errors import ContextTooLong, LabError, ProviderError
from llmflowlab.lab.chat_events import AnswerView, ExchangesDropped, RegisteredAlready
from llmflowlab.lab.conversation import Conversation, Fitted
from llmflowlab.lab.lab import Lab
from llmflowlab.lab.measure import measured
from llmflowlab.messages import Message, Parameters, Request
from llmflowlab.providers.base import Provider
from llmflowlab.tracking.records import (
    Candidate,
    RatingRecord,
    SessionStart,
    TurnRecord,
    new_session_id,
    new_trace_id,
    now_text,
)

if TYPE_CHECKING:
    from llmflowlab.tracking.recorder import ChatRecorder

__all__ = ["Chat", "Outcome"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a prompt."""

    record: TurnRecord
    error: LabError | None = None
    """Why there is no answer, or none that is whole."""


class Chat:
    """A conversation with a model, recorded turn by turn.

    A run has exactly one candidate, so a change of the model, the system prompt or a parameter ends
    the session and begins another one that carries the conversation on.

    Args:
        lab: The parts it is made of.
        provider: The model.
        system: The system prompt.
        parameters: Generation parameters.

    Raises:
        InputError: The person's own price file cannot be used.
    """

    def __init__(
        self,
        lab: Lab,
        provider: Provider,
        *,
        system: str | None = None,
        prompt_version: str | None = None,
        parameters: Parameters | None = None,
    ) -> None:
        self.provider = provider
        self.system = system
        self.prompt_version = prompt_version
        """`NAME@VERSION` while the system prompt is the registry's."""
        self.parameters = parameters or Parameters()
        self.conversation = Conversation(self._count)
        self.turns: list[TurnRecord] = []
        """All turns of this chat, over all its sessions."""
        self.window: int | None = None
        self._lab = lab
        self._recorder: ChatRecorder | None = None
        self._start: SessionStart | None = None
        self._session_turns = 0
        self._continues: str | None = None
        # Built here rather than after an answer, because a bad price file must not cost a turn.
        lab.build_text_room()
        self._prepare()

    @property
    def session_id(self) -> str | None:
        """The id of the running session; None before its first turn."""
        return None if self._start is None else self._start.session_id

    @property
    def last_session_id(self) -> str | None:
        """The running session, or the one that was closed last."""
        return self.session_id or self._continues

    def change(
        self,
        *,
        provider: Provider | None = None,
        system: str | None = None,
        clear_system: bool = False,
        parameters: Parameters | None = None,
    ) -> bool:
        """Change who answers.

        Returns:
            Whether a session was ended by it.
        """
        ended = self._session_turns > 0
        self.close()
        if provider is not None:
            self.provider.close()
            self.provider = provider
            self.window = None
            self.conversation.reconsider()
            self._prepare()
        if system is not None or clear_system:
            self.system = system
            self.prompt_version = None
        if parameters is not None:
            self.parameters = parameters
        return ended

    def ask(
        self, prompt: str, view: AnswerView, *, cancelled: threading.Event | None = None
    ) -> Outcome:
        """Send a prompt, show the answer as it comes, and record the turn before returning.

        Args:
            prompt: What to send.
            view: Where the answer is shown.
            cancelled: Stops the answer once it is set; what came is kept.

        Raises:
            TrackingError: The turn could not be written to disk.
        """
        started, started_ms, date = time.monotonic(), int(time.time() * 1000), now_text()
        fitted = self.conversation.fit(
            prompt, system=self.system, window=self.window, max_tokens=self.parameters.max_tokens
        )
        self._tell_dropped(fitted, view)
        answer: Answer | None = None
        error: LabError | None = None
        messages = fitted.messages
        try:
            answer, messages = self._call(prompt, fitted, view, cancelled or threading.Event())
            error = answer.error
        except LabError as exc:
            error = exc
        except Exception as exc:
            # The chat loop: say it, record it, go on.
            if self._lab.settings.debug:
                raise
            error = LabError(
                f"Something unexpected went wrong ({type(exc).__name__}); "
                "LLMFLOWLAB_DEBUG=1 shows where."
            )
        finally:
            view.close()
        record = TurnRecord(
            trace_id=new_trace_id(),
            index=self._session_turns,
            date=date,
            started_ms=started_ms,
            prompt=prompt,
            answer="" if answer is None else answer.text,
            messages=self._sent(messages),
            inference_time=time.monotonic() - started,
            state="failed" if answer is None else answer.state,
            error=None if error is None else error.message,
            error_reason=_reason(error),
        )
        if answer is not None:
            record = measured(record, answer, self._lab, self.provider)
            if answer.text:
                self.conversation.add(prompt, answer.text)
        self._record(record, view)
        return Outcome(record, error)

    def rate(self, value: int | bool, comment: str | None) -> None:
        """Write a judgement of the last turn.

        Raises:
            TrackingError: It could not be written to disk.
        """
        assert self.turns
        assert self._recorder is not None
        self._recorder.record_rating(
            RatingRecord(
                trace_id=self.turns[-1].trace_id,
                value=value,
                comment=comment,
                rated_ms=int(time.time() * 1000),
            )
        )

    @property
    def can_rate(self) -> bool:
        """Whether the last turn belongs to the running session."""
        return self._session_turns > 0

    def close(self, *, interrupted: bool = False) -> None:
        """End the running session; MLflow gets it in the background."""
        if self._recorder is not None:
            self._recorder.close(interrupted=interrupted)
            self._continues = self.session_id
        self._recorder = None
        self._start = None
        self._session_turns = 0

    def _call(
        self, prompt: str, fitted: Fitted, view: AnswerView, pressed: threading.Event
    ) -> tuple[Answer, tuple[Message, ...]]:
        try:
            return self._send(fitted.messages, view, pressed), fitted.messages
        except ContextTooLong:
            shorter = self.conversation.drop_half(prompt)
            if shorter is None:
                raise
            self._tell_dropped(shorter, view)
            return self._send(shorter.messages, view, pressed), shorter.messages

    def _send(
        self, messages: tuple[Message, ...], view: AnswerView, pressed: threading.Event
    ) -> Answer:
        settings = self._lab.settings
        policy = CallPolicy(
            first_token_timeout=settings.first_token_timeout,
            token_timeout=settings.token_timeout,
            max_tries=settings.max_tries,
            max_retry_seconds=settings.max_retry_seconds,
        )
        request = Request(messages=messages, system=self.system, parameters=self.parameters)
        return call(
            self.provider,
            request,
            policy=policy,
            on_event=view.event,
            on_wait=view.wait,
            cancelled=pressed,
        )

    def _record(self, record: TurnRecord, view: AnswerView) -> None:
        if self._recorder is None:
            self._start = SessionStart(
                session_id=new_session_id(),
                candidate=self._candidate(),
                started=record.date,
                started_ms=record.started_ms,
                continues=self._continues,
            )
            self._recorder = self._lab.recorder(self._start)
            if self.provider.name == "mlflow":
                view.notice(RegisteredAlready())
        self.turns.append(record)
        self._session_turns += 1
        self._recorder.record_turn(record)

    def _candidate(self) -> Candidate:
        provider, parameters = self.provider, self.parameters
        return Candidate(
            provider=provider.name,
            model_name=provider.display_name,
            supplier=provider.supplier,
            model_id=provider.model,
            system_prompt=self.system,
            prompt_version=self.prompt_version,
            temperature=parameters.temperature,
            top_p=parameters.top_p,
            max_tokens=parameters.max_tokens,
            seed=parameters.seed,
        )

    def _sent(self, messages: tuple[Message, ...]) -> list[dict[str, str]]:
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, *({"role": m.role, "content": m.content} for m in messages)]

    def _tell_dropped(self, fitted: Fitted, view: AnswerView) -> None:
        if fitted.newly_dropped:
            view.notice(ExchangesDropped(number=fitted.newly_dropped, window=self.window))

    def _count(self, text: str) -> int:
        return self._lab.counter.count(text, model=self.provider.model).value

    def _prepare(self) -> None:
        """Load in the background what the first turn needs, and ask for the model's window."""
        provider = self.provider

        def attempt(action: Callable[[], object]) -> None:
            try:
                action()
            except Exception:  # noqa: BLE001
                # A thread's traceback would be written over the prompt, and the turn itself meets
                # the same trouble and says so.
                return

        def look_up() -> None:
            window = provider.context_window()
            if self.provider is provider:
                self.window = window

        def work() -> None:
            attempt(provider.prepare)
            attempt(self._lab.detector.preload)
            attempt(lambda: self._lab.counter.preload(provider.model))
            attempt(self._lab.prices.preload)
            attempt(look_up)

        threading.Thread(target=work, name="chat-prepare", daemon=True).start()


def _reason(error: LabError | None) -> str | None:
    if error is None:
        return None
    return error.reason if isinstance(error, ProviderError) else type(error).__name__
