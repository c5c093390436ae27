"""One request's answer: asked, measured and kept, whether anybody still waits for it or not."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from llmflowlab.agents.stop_words import StopWords, cut
from llmflowlab.asking.calling import Cancellation
from llmflowlab.asking.paid import Asker, Paid
from llmflowlab.errors import Blocked, ContextTooLong, LabError, TrackingError
from llmflowlab.guardrails.masking import hidden, without_secrets
from llmflowlab.lab.measure import measured
from llmflowlab.messages import Request
from llmflowlab.providers.base import ReasoningDelta, Rethought, StreamEvent, TextDelta
from llmflowlab.service.http_refusals import HttpRefusal, refusal_of
from llmflowlab.service.spending import DayBudget
from llmflowlab.service.store.allowances import until_tomorrow
from llmflowlab.service.store.online_scores import await_scores
from llmflowlab.service.store.served_turns import keep_turn, let_go
from llmflowlab.settings import Settings
from llmflowlab.tracking.records import TurnRecord, now_text

if TYPE_CHECKING:
    from llmflowlab.service.offers import Offer
    from llmflowlab.service.service_state import ServiceState

__all__ = ["AnswerOrder", "AnswerPiece", "Generation"]


_KEEPING = 5.0
"""Seconds after which a client is told that its answer cannot be kept; it is tried on without it."""
_LONG = 1_000
"""Characters from which on an answer is measured in a thread: its language takes longer than a frame of another may wait."""


@dataclass(slots=True, kw_only=True)
class AnswerOrder:
    """What is to be answered."""

    trace_id: str
    offer: Offer
    request: Request
    shorter: Sequence[Request] = ()
    """The same with less of the conversation, for a model that calls it too long."""
    prompt: str
    """What the person said last."""
    earlier: Sequence[str] = ()
    """The traces that hold what was said before."""
    door: str
    """Which address took it: `chat`, `chat.completions`, `responses`."""
    owner: str
    """The id of the key; empty without keys."""
    session_id: str | None = None
    index: int = 0
    stop: tuple[str, ...] = ()
    begun: float = field(default_factory=time.monotonic)
    """When the request came."""


@dataclass(frozen=True, slots=True)
class AnswerPiece:
    """A part of an answer on its way out."""

    text: str = ""
    thinking: str = ""
    withdrawn: bool = False
    """Whether what came so far was thinking, and no part of the answer."""


class Generation:
    """An answer being made, in a slot that it gives back. It is kept however it ends; who reads along may leave.

    Args:
        state: The service's parts.
        order: What is to be answered.
    """

    def __init__(self, state: ServiceState, order: AnswerOrder) -> None:
        self.order = order
        self.record: TurnRecord | None = None
        """What is kept of it; None until its end."""
        self.paid: Paid | None = None
        self.remarks: tuple[str, ...] = ()
        self.refusal: HttpRefusal | None = None
        """Why there is no answer, or none that is whole."""
        self._state = state
        self._cancelled = Cancellation()
        self._pieces: deque[AnswerPiece] = deque()
        self._news = asyncio.Event()
        self._ended = False
        self._late = False
        self._read_along = False
        """Whether somebody reads its pieces as they come."""
        self._first: float | None = None
        self._stop_words = self._stopping()
        self._task = asyncio.create_task(self._run())
        state.open[self._task] = self.leave
        self._task.add_done_callback(state.open.pop)

    @property
    def first_token(self) -> float | None:
        """Seconds from the request to the first piece."""
        return None if self._first is None else self._first - self.order.begun

    @property
    def settings(self) -> Settings:
        """The service's configuration; it has keys in it."""
        return self._state.lab.settings

    def leave(self) -> None:
        """Give it up: the provider's connection closes, and what came is kept."""
        self._cancelled.set()

    async def begun(self, seconds: float) -> None:
        """Wait for the first piece or the end, but no longer than so many seconds."""
        await self._wait(seconds)

    async def ended_before(self, leaving: asyncio.Future[None]) -> bool:
        """Wait for the end, or until the client has left; tells whether it ended first."""
        await asyncio.wait({self._task, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if self._task.done() and not self._task.cancelled():
            # Told by the refusal; looked at here, so that nobody finds it unlooked at.
            self._task.exception()
        return self._task.done()

    async def pieces(self, heartbeat: float) -> AsyncIterator[AnswerPiece | None]:
        """Yield what comes until the end; None where nothing came for so many seconds."""
        self._read_along = True
        while True:
            if self._pieces:
                yield self._pieces.popleft()
            elif self._ended:
                return
            elif not await self._wait(heartbeat):
                yield None

    async def _wait(self, seconds: float) -> bool:
        if self._pieces or self._ended:
            return True
        self._news.clear()
        alarm = asyncio.get_running_loop().call_later(seconds, self._news.set)
        try:
            await self._news.wait()
        finally:
            alarm.cancel()
        return bool(self._pieces) or self._ended

    async def _run(self) -> None:
        order, state = self.order, self._state
        deadline = asyncio.get_running_loop().call_later(
            max(state.limits.deadline - (time.monotonic() - order.begun), 0.001), self._too_late
        )
        started_ms, made = int(time.time() * 1000), None
        try:
            try:
                paid = await self._ask()
            except Exception as exc:
                state.log.exception("A request could not be answered (%s).", order.trace_id)
                paid = Paid(answer=None, error=exc)
            self.paid, self.remarks = paid, paid.remarks
            # The last piece came with the end: it leaves before anything is measured, which takes milliseconds.
            # Once for whoever reads along, and once for the loop, which writes after all that is ready.
            for _ in range(2 if self._read_along else 0):
                await asyncio.sleep(0)
            self.refusal = self._why_not(paid)
            long = paid.answer is not None and len(paid.answer.text) > _LONG
            self.record = made = (
                await asyncio.to_thread(self._measured, paid, started_ms)
                if long
                else self._measured(paid, started_ms)
            )
            try:
                await self._keep(made)
            except TrackingError as exc:
                # What a client was answered outlives the process; this would not.
                self.record, self.refusal = None, refusal_of(exc)
        except BaseException as exc:
            self.refusal = refusal_of(exc) if isinstance(exc, Exception) else self.refusal
            raise
        finally:
            deadline.cancel()
            state.slots.give_back()
            self._ended = True
            self._news.set()
            state.measures.count(
                order.offer.provider.name,
                order.offer.name,
                made,
                None if self.refusal is None else self.refusal.code,
                seconds=time.monotonic() - order.begun,
                first_token=self.first_token,
            )

    async def _ask(self) -> Paid:
        order, state = self.order, self._state
        cap = state.limits.daily_usd
        budget = None if cap is None else DayBudget(state.desk, cap, order.trace_id)
        offer = order.offer = order.offer.now(state.offers)
        asker = offer.asker(budget)
        # Known before anything is waited for: a version that is replaced meanwhile ends after this.
        with offer.used():
            return await self._asked(asker)

    async def _asked(self, asker: Asker) -> Paid:
        order = self.order
        paid = await asker.ask(order.request, on_event=self._event, cancelled=self._cancelled)
        for shorter in order.shorter:
            if not isinstance(paid.error, ContextTooLong):
                break
            again = await asker.ask(shorter, on_event=self._event, cancelled=self._cancelled)
            paid = again.after(paid)
        if paid.answer is not None and self._stop_words is not None:
            self._stop_words.finish()
        return paid

    def _stopping(self) -> StopWords | None:
        words = self.order.stop
        return StopWords(words, self._cancelled, self._told) if words else None

    def _event(self, event: StreamEvent) -> None:
        if isinstance(event, Rethought):
            self._stop_words = self._stopping()
        if self._stop_words is None:
            self._told(event)
        else:
            self._stop_words.event(event)

    def _told(self, event: StreamEvent) -> None:
        if isinstance(event, TextDelta):
            self._put(AnswerPiece(text=event.text))
        elif isinstance(event, ReasoningDelta):
            self._put(AnswerPiece(thinking=event.text))
        elif isinstance(event, Rethought):
            self._put(AnswerPiece(withdrawn=True))

    def _put(self, piece: AnswerPiece) -> None:
        if self._first is None:
            self._first = time.monotonic()
        self._pieces.append(piece)
        self._news.set()

    def _too_late(self) -> None:
        self._late = True
        self._cancelled.set()

    def _why_not(self, paid: Paid) -> HttpRefusal | None:
        if paid.refused_by_budget:
            return HttpRefusal(
                "budget_exhausted",
                "What may be spent in a day is spent, or set aside for answers under way.",
                retry_after=until_tomorrow(time.time()),
            )
        if self._late:
            limit = f"{self._state.limits.deadline:g}"
            return HttpRefusal("deadline_exceeded", f"The answer did not end within {limit} s.")
        if paid.error is None or isinstance(paid.error, Blocked):
            return None
        refusal = refusal_of(paid.error)
        if refusal.code in {"model_unavailable", "internal_error"}:
            # What has to be set up is for whoever runs the service, not for its clients.
            self._state.log.error("%s: %s", self.order.offer.name, paid.error)
            refusal = HttpRefusal(
                refusal.code,
                "The model cannot be used at the moment; the service's log says why.",
                retry_after=refusal.retry_after,
            )
        return refusal

    def _measured(self, paid: Paid, started_ms: int) -> TurnRecord:
        order = self.order
        stopped = self._stop_words is not None and self._stop_words.found
        prompt, messages = self._kept(paid)
        error = paid.error if isinstance(paid.error, LabError) else None
        said = self.refusal.message if self.refusal is not None else None
        record = TurnRecord(
            trace_id=order.trace_id,
            index=order.index,
            date=now_text(),
            started_ms=started_ms,
            prompt=prompt,
            answer="",
            messages=messages,
            earlier_exchanges=len(order.earlier),
            previous_trace=order.earlier[-1] if order.earlier else None,
            inference_time=time.monotonic() - order.begun,
            state="failed" if paid.refused_by_budget else paid.state,
            error=error.message if error is not None else said,
            error_reason=getattr(error, "reason", None)
            or (None if self.refusal is None else self.refusal.code),
            violations=[dict(found) for found in paid.violations],
        )
        record = measured(record, paid, self._state.lab.detector)
        if stopped and record.state in {"interrupted", "complete"}:
            record = replace(
                record,
                answer=cut(record.answer, order.stop),
                state="complete",
                finish_reason="stop",
            )
        elif self._late and record.state == "interrupted":
            record = replace(record, state="incomplete")
        return record

    def _kept(self, paid: Paid) -> tuple[str, list[dict[str, str]]]:
        """Return the prompt and what was sent beside it as they may be kept; earlier traces hold the rest."""
        order = self.order
        request = paid.sent or order.request
        messages = request.openai_messages()
        if order.earlier:
            messages = [each for each in messages[:-1] if each["role"] == "system"] + messages[-1:]
        if order.offer.guarded and paid.sent is None:
            return without_secrets(order.prompt), hidden(messages)
        masked = paid.sent is not None and request.messages[-1].role == "user"
        return request.messages[-1].content if masked else order.prompt, messages

    async def _keep(self, record: TurnRecord) -> None:
        order, state = self.order, self._state
        refused = record.tries == 0 and self.paid is not None and self.paid.refused_by_budget

        def work(connection: Any) -> None:
            if refused and order.session_id is not None:
                let_go(connection, order.owner, order.session_id, order.trace_id)
            keep_turn(
                connection,
                record,
                owner=order.owner,
                session_id=None if refused else order.session_id,
                deployment=order.offer.deployment,
                door=order.door,
            )
            if state.scoring is not None and not refused:
                wanted = state.scoring.wanted(record.trace_id)
                await_scores(connection, record.trace_id, wanted, int(time.time() * 1000))

        keeping = asyncio.wrap_future(state.desk.put(work, lasting=True))
        keeping.add_done_callback(self._kept_at_last)
        while not (await asyncio.wait({keeping}, timeout=_KEEPING))[0]:
            if state.desk.stuck:
                raise TrackingError(
                    "The answer was made, but the service's database does not take it at the moment; it is "
                    "kept once that does."
                )
        keeping.result()

    def _kept_at_last(self, keeping: asyncio.Future[Any]) -> None:
        if not keeping.cancelled() and keeping.exception() is not None:
            self._state.log.error("An answer could not be kept (%s).", self.order.trace_id)
