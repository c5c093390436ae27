"""A chat: its conversation, its sessions, and each turn's way from prompt to record."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.calling import WaitNotice, policy_from
from llmflowlab.asking.metering import Metering
from llmflowlab.asking.paid import Asker, Paid
from llmflowlab.candidate import Candidate
from llmflowlab.errors import Blocked, ContextTooLong, LabError, ProviderError
from llmflowlab.files import require_home
from llmflowlab.lab.chat_events import (
    AnswerView,
    ExchangesDropped,
    Guarded,
    PromptMoved,
    PromptShortened,
    RegisteredAlready,
    RequestChanged,
)
from llmflowlab.lab.conversation import ChatHistory, Exchange, Fitted
from llmflowlab.lab.lab import Lab
from llmflowlab.lab.measure import measured
from llmflowlab.lab.prompt_watch import PromptWatch
from llmflowlab.lab.prompts_in_use import PromptInUse
from llmflowlab.messages import Message, Parameters
from llmflowlab.providers.base import Finished, Provider, Rethought, StreamEvent, TextDelta
from llmflowlab.providers.redact import refuse_secrets
from llmflowlab.template import refuse_unfilled, takes_question
from llmflowlab.tracking.chat_recorder import ChatRecorder
from llmflowlab.tracking.records import (
    RatingRecord,
    SessionStart,
    TurnRecord,
    new_session_id,
    new_trace_id,
    now_text,
)

if TYPE_CHECKING:
    from llmflowlab.guardrails.policy import Policy

__all__ = ["Chat", "TurnOutcome"]

_OVER_BUDGET = LabError("The next answer may cost more than is left of the budget.")


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
        prompt: A prompt of the registry instead.
        watch: Tells when another version is behind what was asked for.
        parameters: Generation parameters.
        guardrails: What may go in and come out; None: everything.
        budget: What all answers may cost together; None: nothing is limited.

    Raises:
        InputError: The person's own price file cannot be used, or the prompt holds a key or a variable
            without a value.
        HomeUnwritable: Nothing could be kept.
        NotConfigured: The guardrails' detector lacks something.
    """

    def __init__(
        self,
        lab: Lab,
        provider: Provider,
        *,
        system: str | None = None,
        prompt: PromptInUse | None = None,
        watch: PromptWatch | None = None,
        parameters: Parameters | None = None,
        guardrails: Policy | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.provider = provider
        self.system: str | None = None
        self.prompt: PromptInUse | None = None
        """The registry's prompt that the model is given; the system prompt is then the prompt's."""
        self._watch: PromptWatch | None = None
        self.parameters = parameters or Parameters()
        self._guarding = None
        if guardrails is not None:
            # Imported here, as most chats have none.
            from llmflowlab.lab.guarded_chat import GuardedChat

            self._guarding = GuardedChat(lab, guardrails)
        self.conversation = ChatHistory(self._count)
        self.turns: list[TurnRecord] = []
        """All turns of this chat, over all its sessions."""
        self.answered_by: dict[str, str] = {}
        """Whom each of them was put to, by its trace."""
        self.window: int | None = None
        self._lab = lab
        self._recorder: ChatRecorder | None = None
        self._start: SessionStart | None = None
        self._session_turns = 0
        self._continues: str | None = None
        self._replays: str | None = None
        self._budget = budget
        # Done here rather than after an answer: neither a home that takes nothing nor a bad price file
        # must cost a turn.
        self._take_prompt(system, prompt, watch)
        require_home(lab.settings)
        lab.require_trackers()
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

    def twin(self, provider: Provider, *, budget: Budget | None = None) -> Chat:
        """Return a chat that has said nothing yet, to say the same to another model.

        System prompt, parameters and guardrails are this one's; its sessions are linked to this one.
        """
        other = Chat(
            self._lab,
            provider,
            system=self.system,
            prompt=self.prompt,
            parameters=self.parameters,
            budget=budget,
        )
        other._guarding = self._guarding
        other._replays = self.last_session_id
        return other

    def change(
        self,
        *,
        provider: Provider | None = None,
        system: str | None = None,
        clear_system: bool = False,
        prompt: PromptInUse | None = None,
        watch: PromptWatch | None = None,
        parameters: Parameters | None = None,
    ) -> bool:
        """Change who answers.

        Returns:
            Whether a session was ended by it.

        Raises:
            InputError: The prompt holds a key, or a variable without a value.
        """
        ended = self._session_turns > 0
        self._refuse_unusable(system)
        self._end_session(interrupted=False)
        if provider is not None:
            self.provider.close()
            self.provider = provider
            self.window = None
            self.conversation.reconsider()
            self._prepare()
        if system is not None or clear_system or prompt is not None:
            self._take_prompt(system, prompt, watch)
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
        self._follow(view)
        started, started_ms, date = time.monotonic(), int(time.time() * 1000), now_text()
        fitted = self.conversation.fit(
            prompt,
            system=self._overhead(),
            window=self.window,
            max_tokens=self.parameters.max_tokens,
        )
        self._tell_dropped(fitted, view)
        guarding = self._guarding
        kept = prompt if guarding is None else guarding.masked(prompt)
        record = TurnRecord(
            trace_id=new_trace_id(),
            index=self._session_turns,
            date=date,
            started_ms=started_ms,
            prompt=kept,
            answer="",
        )

        def answered(text: str, sent: Fitted) -> None:
            self._recording(record).record_answer(self._told(replace(record, answer=text), sent))

        try:
            paid, fitted = self._call(
                prompt,
                fitted,
                _Shown(view, cancelled or threading.Event(), answered, self._restored),
            )
        finally:
            view.close()
        for sentence in self.provider.told():
            view.notice(RequestChanged(sentence))
        if paid.prompt_cut:
            view.notice(PromptShortened())
        for sentence in paid.remarks:
            view.notice(Guarded(sentence))
        error = _OVER_BUDGET if paid.refused_by_budget else self._in_words(paid.error)
        record = replace(
            self._told(record, fitted),
            inference_time=time.monotonic() - started,
            state="failed" if paid.refused_by_budget else paid.state,
            error=None if error is None else error.message,
            error_reason=_reason(error),
            violations=[dict(found) for found in paid.violations],
        )
        record = measured(record, paid, self._lab.detector)
        if record.answer:
            self.conversation.add(kept, record.answer)
        self._record(record, view)
        self.conversation.traced_by(record.trace_id)
        return TurnOutcome(record, error)

    def rate(self, value: int | bool, comment: str | None) -> None:
        """Write a judgement of the last turn: for its trace, and among the words of people.

        Raises:
            TrackingError: It could not be written to disk.
        """
        assert self.turns
        assert self._recorder is not None
        rating = RatingRecord(
            trace_id=self.turns[-1].trace_id,
            value=value,
            comment=comment,
            rated_ms=int(time.time() * 1000),
        )
        self._recorder.record_rating(rating)
        # Imported here: few answers are rated.
        from llmflowlab.people.ratings import rating_word
        from llmflowlab.people.word_store import WordStore

        session = str(self.session_id)
        # A run is made when MLflow is told; until then the session's id leads to it.
        run_id = self._lab.delivery.run_id(session) or session
        with closing(WordStore(self._lab.settings.people_file)) as words:
            words.keep([rating_word(rating, run_id)])

    def turn_of(self, exchange: Exchange) -> TurnRecord | None:
        """Return the turn that an exchange was; None for one that was loaded."""
        texts = exchange.prompt, exchange.answer
        return next((t for t in reversed(self.turns) if (t.prompt, t.answer) == texts), None)

    @property
    def can_rate(self) -> bool:
        """Whether the last turn belongs to the running session."""
        return self._session_turns > 0

    def close(self, *, interrupted: bool = False) -> None:
        """End the running session; MLflow gets it in the background."""
        if self._watch is not None:
            self._watch.stop()
        self._end_session(interrupted=interrupted)

    def _end_session(self, *, interrupted: bool) -> None:
        if self._recorder is not None:
            self._recorder.close(interrupted=interrupted)
            self._continues = self.session_id
        self._recorder = None
        self._start = None
        self._session_turns = 0

    def _call(self, prompt: str, fitted: Fitted, shown: _Shown) -> tuple[Paid, Fitted]:
        paid = self._send(fitted, shown)
        if not isinstance(paid.error, ContextTooLong):
            return paid, fitted
        shorter = self.conversation.drop_half(prompt)
        if shorter is None:
            return paid, fitted
        self._tell_dropped(shorter, shown.view)
        return self._send(shorter, shown).after(paid), shorter

    def _send(self, fitted: Fitted, shown: _Shown) -> Paid:
        policy = policy_from(self._lab.settings)
        metering = Metering(self._lab.counter, self._lab.prices)
        make = Asker if self._guarding is None else self._guarding.asker
        asker = make(self.provider, policy=policy, metering=metering, budget=self._budget)
        request = self._candidate().request(fitted.messages)
        shown.begin(fitted)
        paid = asker.ask_blocking(
            request, on_event=shown.event, on_wait=shown.wait, cancelled=shown.stop
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

    def _recording(self, record: TurnRecord) -> ChatRecorder:
        """Return the session's recorder; a session begins with its first turn."""
        if self._recorder is None:
            self._start = SessionStart(
                session_id=new_session_id(),
                candidate=self._candidate(),
                started=record.date,
                started_ms=record.started_ms,
                continues=self._continues,
                replays=self._replays,
            )
            self._recorder = self._lab.recorder(self._start)
        return self._recorder

    def _record(self, record: TurnRecord, view: AnswerView) -> None:
        recorder = self._recording(record)
        if self._session_turns == 0 and self.provider.name == "mlflow":
            view.notice(RegisteredAlready())
        self.turns.append(record)
        self.answered_by[record.trace_id] = self.provider.reference
        self._session_turns += 1
        recorder.record_turn(record)

    def _told(self, record: TurnRecord, sent: Fitted) -> TurnRecord:
        """Fill in what was sent."""
        turns = sent.untraced
        if self._guarding is not None and turns:
            # The last one is the prompt; those before it were masked when they were it.
            turns = (*turns[:-1], replace(turns[-1], content=record.prompt))
        return replace(
            record,
            messages=self._sent(turns, begun=bool(sent.traced)),
            earlier_exchanges=len(sent.traced),
            previous_trace=sent.traced[-1] if sent.traced else None,
        )

    def _refuse_unusable(self, system: str | None) -> None:
        what = "The system prompt"
        refuse_secrets(system, self._lab.settings, what)
        refuse_unfilled(system, (), (), what=what, remedy="write what is meant in its place")

    def _take_prompt(
        self, system: str | None, prompt: PromptInUse | None, watch: PromptWatch | None
    ) -> None:
        self._refuse_unusable(system)
        if self._watch is not None and self._watch is not watch:
            self._watch.stop()
        self.system = system if prompt is None else prompt.system
        self.prompt, self._watch = prompt, watch

    def _follow(self, view: AnswerView) -> None:
        """Go over to the version that the prompt's alias points to now."""
        if self._watch is None:
            return
        for sentence in self._watch.told():
            view.notice(RequestChanged(sentence))
        moved = self._watch.moved()
        if moved is not None and self.prompt is not None:
            self.change(prompt=moved, watch=self._watch)
            view.notice(PromptMoved(moved.asked, moved.reference))

    def _overhead(self) -> str | None:
        """Return what takes room beside the conversation."""
        said = [] if self.prompt is None else [m.content for m in self.prompt.messages]
        return "\n".join(filter(None, [self.system, *said])) or None

    @property
    def guarded(self) -> bool:
        """Whether guardrails are around this chat."""
        return self._guarding is not None

    def _restored(self, text: str) -> str:
        """Return what the person sees of a text: their own words where masks stand for them."""
        return text if self._guarding is None else self._guarding.restored(text)

    def _candidate(self) -> Candidate:
        provider, prompt = self.provider, self.prompt
        return Candidate(
            model=f"{provider.name}:{provider.model}",
            display_name=provider.display_name,
            supplier=provider.supplier,
            system=self.system,
            messages=() if prompt is None else prompt.messages,
            values=None if prompt is None else prompt.values,
            prompt=None if prompt is None else prompt.reference,
            weights=provider.weights,
            guardrails=None if self._guarding is None else self._guarding.policy,
            parameters=self.parameters,
        )

    def _sent(self, turns: tuple[Message, ...], *, begun: bool) -> list[dict[str, str]]:
        """Return what a trace holds of what was sent; an earlier one holds the prompt's examples."""
        candidate = self._candidate()
        if begun:
            taken = takes_question(candidate.messages, (candidate.values or {}).keys())
            candidate = replace(candidate, messages=candidate.messages[-1:] if taken else ())
        return candidate.request(turns).openai_messages()

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
            if self._guarding is not None:
                attempt(self._guarding.preload)

        threading.Thread(target=work, name="chat-prepare", daemon=True).start()


def _reason(error: LabError | None) -> str | None:
    if error is None:
        return None
    if isinstance(error, ProviderError | Blocked):
        return error.reason
    return type(error).__name__


class _Shown:
    """A view whose failure ends the call without losing count of what the call cost.

    Args:
        view: Where the answer is shown.
        stop: Ends the call.
        answered: Told the text and what it answers, as soon as it was shown whole.
        restore: Puts the person's own words in the places of their masks.
    """

    def __init__(
        self,
        view: AnswerView,
        stop: threading.Event,
        answered: Callable[[str, Fitted], None],
        restore: Callable[[str], str],
    ) -> None:
        self.failure: Exception | None = None
        self.view = view
        self.stop = stop
        self._answered = answered
        self._restore = restore
        self._text: list[str] = []
        self._sent: Fitted | None = None

    def begin(self, fitted: Fitted) -> None:
        self._sent = fitted
        self._text.clear()

    def event(self, event: StreamEvent) -> None:
        if isinstance(event, TextDelta):
            self._text.append(event.text)
            event = TextDelta(self._restore(event.text))
        elif isinstance(event, Rethought):
            self._text.clear()
        elif isinstance(event, Finished) and self._sent is not None:
            # Before anybody counts, prices or tells languages: a kill must not lose what was read.
            self._answered("".join(self._text), self._sent)
        self._try(lambda: self.view.event(event))

    def wait(self, notice: WaitNotice) -> None:
        self._text.clear()
        self._try(lambda: self.view.wait(notice))

    def _try(self, show: Callable[[], None]) -> None:
        if self.failure is not None:
            return
        try:
            show()
        except Exception as exc:  # noqa: BLE001 - the chat loop: said, recorded, and gone on from
            self.failure = exc
            self.stop.set()
