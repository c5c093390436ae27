"""From a request's body to an answer being made: what all doors have in common."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect

from llmflowlab.errors import LabError
from llmflowlab.lab.conversation import ChatHistory, Exchange
from llmflowlab.messages import Message, Parameters, Request
from llmflowlab.service.event_stream import left
from llmflowlab.service.generation import AnswerOrder, Generation
from llmflowlab.service.http_refusals import HttpRefusal, refusal_of
from llmflowlab.service.offers import Offer
from llmflowlab.service.service_state import Caller, ServiceState
from llmflowlab.service.store.served_turns import Said, begin_turn, let_go
from llmflowlab.tracking.records import new_trace_id

if TYPE_CHECKING:
    from starlette.types import Receive

__all__ = ["answer_alone", "answer_in_session"]

_MOST_TOKENS = 4
"""Tokens that a character is at the most: they are made of bytes of UTF-8."""


async def answer_alone(
    state: ServiceState,
    caller: Caller,
    offer: Offer,
    *,
    door: str,
    messages: Sequence[Message],
    system: str | None,
    parameters: Parameters,
    custom_inputs: Mapping[str, Any] | None = None,
    stop: tuple[str, ...] = (),
    begun: float,
) -> Generation:
    """Begin the answer to a conversation that the client keeps.

    Raises:
        HttpRefusal: It is too long, or too much is under way.
    """
    _refuse_long(state, messages)
    try:
        request = offer.request(
            messages, system=system, parameters=parameters, custom_inputs=custom_inputs
        )
    except LabError as exc:
        raise refusal_of(exc) from exc
    asked = next((m.content for m in reversed(messages) if m.role == "user"), "")
    order = AnswerOrder(
        trace_id=new_trace_id(),
        offer=offer,
        request=request,
        prompt=asked,
        door=door,
        owner=caller.owner,
        stop=stop,
        begun=begun,
    )
    return await _started(state, caller, order)


async def answer_in_session(
    state: ServiceState,
    caller: Caller,
    offer: Offer,
    *,
    session_id: str,
    query: str,
    parameters: Parameters,
    custom_inputs: Mapping[str, Any] | None,
    begun: float,
) -> Generation:
    """Begin the answer to what is said next in a session that the service keeps.

    Raises:
        HttpRefusal: The session is busy or full, or too much is under way.
    """
    trace_id = new_trace_id()
    found = await state.desk.do(
        partial(
            begin_turn,
            owner=caller.owner,
            session_id=session_id,
            trace_id=trace_id,
            deadline=state.limits.deadline,
            most_turns=state.limits.most_turns,
        )
    )
    if isinstance(found, HttpRefusal):
        raise found
    try:
        sent = await _fitted(offer, found, query, parameters, custom_inputs)
        traced = [said.trace_id for said in found if said.answer]
        order = AnswerOrder(
            trace_id=trace_id,
            offer=offer,
            request=sent[0],
            shorter=sent[1:],
            prompt=query,
            earlier=traced,
            door="chat",
            owner=caller.owner,
            session_id=session_id,
            index=len(found),
            begun=begun,
        )
        return await _started(state, caller, order)
    except BaseException as exc:
        state.desk.put(
            lambda connection: let_go(connection, caller.owner, session_id, trace_id),
            lasting=True,
        )
        if isinstance(exc, LabError):
            raise refusal_of(exc) from exc
        raise


async def _started(state: ServiceState, caller: Caller, order: AnswerOrder) -> Generation:
    """Begin an answer once there is room for it.

    Raises:
        HttpRefusal: There is none, or what was answered before cannot be kept.
        ClientDisconnect: The client left while it waited.
    """
    if state.desk.stuck:
        # It would be paid for, and could not be kept either.
        raise HttpRefusal(
            "storage_failed",
            "The service's database takes nothing at the moment; nothing was asked.",
            retry_after=5.0,
        )
    taking = state.slots.take(state.limits.deadline - (time.monotonic() - order.begun))
    if state.slots.free or caller.receive is None:
        await taking
    else:
        await _unless_left(state, asyncio.ensure_future(taking), caller.receive)
    return Generation(state, order)


async def _unless_left(state: ServiceState, taking: asyncio.Task[None], receive: Receive) -> None:
    leaving = asyncio.ensure_future(left(receive))
    try:
        await asyncio.wait({taking, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not taking.done():
            raise ClientDisconnect
        taking.result()
    except BaseException:
        if not taking.cancel() and taking.exception() is None:
            state.slots.give_back()
        raise
    finally:
        leaving.cancel()


async def _fitted(
    offer: Offer,
    found: Sequence[Said],
    query: str,
    parameters: Parameters,
    custom_inputs: Mapping[str, Any] | None,
) -> list[Request]:
    """Return what is sent: as much of the session as fits, and the same with less of it."""
    exchanges = [Exchange(said.prompt, said.answer) for said in found if said.answer]

    def request(messages: Sequence[Message]) -> Request:
        return offer.request(
            messages, system=None, parameters=parameters, custom_inputs=custom_inputs
        )

    characters = sum(len(each.prompt) + len(each.answer) for each in exchanges) + len(query)
    # Counting is left out where a session fits however many tokens its characters are.
    sure = _MOST_TOKENS * characters < (offer.window or 0) // 2
    history = ChatHistory(len if sure else offer.count)
    history.replace(exchanges)

    def fit() -> list[Request]:
        fitted = history.fit(
            query,
            system=offer.candidate.system,
            window=offer.window,
            max_tokens=parameters.max_tokens or offer.candidate.parameters.max_tokens,
        )
        found = [request(fitted.messages)]
        while (shorter := history.drop_half(query)) is not None and len(found) < 4:
            found.append(request(shorter.messages))
        return found

    return fit() if characters < 20_000 else await asyncio.to_thread(fit)


def _refuse_long(state: ServiceState, messages: Sequence[Message]) -> None:
    most = state.limits.most_messages
    if len(messages) > most:
        raise HttpRefusal(
            "conversation_too_long",
            f"A request may hold {most} messages; this one has {len(messages)}.",
            param="messages",
        )
