"""A chat: its conversation, its sessions, and each turn's way from prompt to record."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmflowlab.asking.calling import WaitNotice, policy_from
from llmflowlab.asking.metering import Metering
from llmflowlab.asking.paid import Asker, Paid
from llmflowlab.candidate import Candidate
from llmflowlab.errors import ContextTooLong, LabError, ProviderError
from llmflowlab.files import require_home
from llmflowlab.lab.chat_events import (
    AnswerView,
    ExchangesDropped,
    PromptShortened,
    RegisteredAlready,
    RequestChanged,
)
from llmflowlab.lab.conversation import ChatHistory, Fitted
from llmflowlab.lab.lab import Lab
from llmflowlab.lab.measure import measured
from llmflowlab.messages import Message, Parameters, Request
from llmflowlab.providers.base import Provider, StreamEvent
from llmflowlab.providers.redact import refuse_secrets
from llmflowlab.tracking.records import (
    RatingRecord,
    SessionStart,
    TurnRecord,
    new_session_id,
    new_trace_id,
    now_text,
)

if TYPE_CHECKING:
    from llmflowlab.tracking.chat_recorder import ChatRecorder

__all__ = ["Chat", "TurnOutcome"]


@dataclass(frozen=True, slots=True)
class TurnOutcome:
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
        InputError: The person's own price file cannot be used, or the system prompt holds a key.
        HomeUnwritable: Nothing could be kept.
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
        refuse_secrets(system, lab.settings, "The system prompt")
        self.provider = provider
        self.system = system
        self.prompt_version = prompt_version
        """`NAME@VERSION` while the system prompt is the registry's."""
        self.parameters = parameters or Parameters()
        self.conversation = ChatHistory(self._count)
        self.turns: list[TurnRecord] = []
        """All turns of this chat, over all its sessions."""
        self.window: int | None = None
        self._lab = lab
        self._recorder: ChatRecorder | None = None
        self._start: SessionStart | None = None
        self._session_turns = 0
        self._continues: str | None = None
        # Done here rather than after an answer: neither a home that takes nothing nor a bad price file
        # must cost a turn.
        require_home(lab.settings)
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

        Raises:
            InputError: The system prompt holds a key.
        """
        refuse_secrets(system, self._lab.settings, "The system prompt")
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
    ) -> TurnOutcome:
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
        try:
            paid, fitted = self._call(prompt, fitted, view, cancelled or threading.Event())
        finally:
            view.close()
        for sentence in self.provider.told():
            view.notice(RequestChanged(sentence))
        if paid.prompt_cut:
            view.notice(PromptShortened())
        error = self._in_words(paid.error)
        record = TurnRecord(
            trace_id=new_trace_id(),
            index=self._session_turns,
            date=date,
            started_ms=started_ms,
            prompt=prompt,
            answer="",
            messages=self._sent(fitted.untraced),
            earlier_exchanges=len(fitted.traced),
            previous_trace=fitted.traced[-1] if fitted.traced else None,
            inference_time=time.monotonic() - started,
            state=paid.state,
            error=None if error is None else error.message,
            error_reason=_reason(error),
        )
        record = measured(record, paid, self._lab.detector)
        if record.answer:
            self.conversation.add(prompt, record.answer)
        self._record(record, view)
        self.conversation.traced_by(record.trace_id)
        return TurnOutcome(record, error)

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
    ) -> tuple[Paid, Fitted]:
        paid = self._send(fitted.messages, view, pressed)
        if not isinstance(paid.error, ContextTooLong):
            return paid, fitted
        shorter = self.conversation.drop_half(prompt)
        if shorter is None:
            return paid, fitted
        self._tell_dropped(shorter, view)
        return self._send(shorter.messages, view, pressed).after(paid), shorter

    def _send(
        self, messages: tuple[Message, ...], view: AnswerView, pressed: threading.Event
    ) -> Paid:
        asker = Asker(
            self.provider,
            policy=policy_from(self._lab.settings),
            metering=Metering(self._lab.counter, self._lab.prices),
        )
        request = Request(messages=messages, system=self.system, parameters=self.parameters)
        shown = _Shown(view, pressed)
        paid = asker.ask_blocking(
            request, on_event=shown.event, on_wait=shown.wait, cancelled=pressed
        )
        return paid if shown.failure is None else paid.in_vain(shown.failure)

    def _in_words(self, error: Exception | None) -> LabError | None:
        """Return why there is no answer, or none that is whole; the chat says it and goes on."""
        if error is None or isinstance(error, LabError):
            return error
        if self._lab.settings.debug:
            raise error
        return LabError(
            f"Something unexpected went wrong ({type(error).__name__}); "
            "LLMFLOWLAB_DEBUG=1 shows where."
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
        provider = self.provider
        return Candidate(
            model=f"{provider.name}:{provider.model}",
            display_name=provider.display_name,
            supplier=provider.supplier,
            system=self.system,
            prompt=self.prompt_version,
            weights=provider.weights,
            parameters=self.parameters,
        )

    def _sent(self, messages: tuple[Message, ...]) -> list[dict[str, str]]:
        return Request(messages=messages, system=self.system).openai_messages()

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


class _Shown:
    """A view whose failure ends the call without losing count of what the call cost."""

    def __init__(self, view: AnswerView, stop: threading.Event) -> None:
        self.failure: Exception | None = None
        self._view = view
        self._stop = stop

    def event(self, event: StreamEvent) -> None:
        self._try(lambda: self._view.event(event))

    def wait(self, notice: WaitNotice) -> None:
        self._try(lambda: self._view.wait(notice))

    def _try(self, show: Callable[[], None]) -> None:
        if self.failure is not None:
            return
        try:
            show()
        except Exception as exc:  # noqa: BLE001 - the chat loop: said, recorded, and gone on from
            self.failure = exc
            self._stop.set()
