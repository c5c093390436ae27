"""What stands before every address that asks a model: the key, and its pace."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request
from fastapi.security import HTTPBearer
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from llmflowlab.service.chat_bodies import ErrorBody
from llmflowlab.service.http_refusals import CODES
from llmflowlab.service.service_state import Caller, ServiceState

__all__ = ["BEARER", "Asking", "asking", "at_once", "refused_with", "state_of"]

BEARER = HTTPBearer(auto_error=False, description="A key that the service's owner made.")


class Asking:
    """Who asks, and what answers."""

    __slots__ = ("caller", "headers", "state")

    def __init__(self, state: ServiceState, caller: Caller) -> None:
        self.state = state
        self.caller = caller
        self.headers: dict[str, str] = {}


def state_of(request: Request) -> ServiceState:
    """Return the service's parts."""
    state: ServiceState = request.app.state.service
    return state


async def asking(request: Request) -> Asking:
    """Let a request in.

    Raises:
        HttpRefusal: Its key does not hold, or asks too often.
    """
    state = state_of(request)
    address = request.client.host if request.client else ""
    caller = await state.caller(request.headers.get("authorization"), address)
    caller.receive = request.receive
    await state.pace(caller)
    return Asking(state, caller)


def at_once(answer: Callable[[Request, Asking], Awaitable[Response]]) -> ASGIApp:
    """Return what answers an address that FastAPI describes, and would take long to find and to call.

    Its middlewares, its routing and Starlette's take a twentieth of the processor time of a call.
    """

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        response = await answer(request, await asking(request))
        await response(scope, receive, send)

    return answered


def refused_with(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe refusals for the OpenAPI document."""
    return {
        status: {
            "model": ErrorBody,
            "description": "; ".join(
                f"`{code}`: {says}" for code, (at, says) in CODES.items() if at == status
            ),
        }
        for status in statuses
    }
