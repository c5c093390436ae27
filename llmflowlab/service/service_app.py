"""The service as an ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from llmflowlab.errors import LabError
from llmflowlab.lab.lab import Lab
from llmflowlab.providers.event_loop import adopt
from llmflowlab.service import (
    chat_routes,
    invocation_routes,
    openai_routes,
    responses_routes,
    state_routes,
)
from llmflowlab.service.entrance import BEARER, state_of
from llmflowlab.service.front_gate import FrontGate, refused
from llmflowlab.service.http_refusals import HttpRefusal, refusal_of
from llmflowlab.service.offers import ServedModels, offers
from llmflowlab.service.openai_answers import TRACE_HEADER
from llmflowlab.service.scoring.online_scorers import OnlineScoring
from llmflowlab.service.service_limits import ServiceLimits
from llmflowlab.service.service_state import ServiceState
from llmflowlab.service.store.allowances import day_of, forget_days_before
from llmflowlab.service.store.desk import Desk
from llmflowlab.service.store.served_turns import keep_deployment
from llmflowlab.service.store.service_database import Engine, address_of, opened, upgraded, writing
from llmflowlab.service.version_offer import VersionOffer

if TYPE_CHECKING:
    import httpx

    from llmflowlab.serving.server import VersionFollower

__all__ = ["ServiceSetup", "build_app"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSetup:
    """How a service is set up; the same for all its workers."""

    wanted: ServedModels
    limits: ServiceLimits = ServiceLimits()
    start: str = field(default_factory=lambda: secrets.token_hex(16))
    """Names this start of it."""
    loopback: bool = True
    """Whether it is meant for this machine alone."""
    hosts: tuple[str, ...] = ()
    """Further names that a Host header may have."""
    origins: tuple[str, ...] = ()
    """Pages of other origins that may ask it from a browser."""
    measured_in: str | None = None
    """The folder of several workers' measures."""
    scoring: OnlineScoring | None = None
    """How answers are scored in the background; None: not at all."""


_LAST = 5.0
"""Seconds in which answers that were given up must have been kept."""
_OWN_NAMES = ("localhost", "127.0.0.1", "[::1]", "testserver")


def build_app(lab: Lab, setup: ServiceSetup, follower: VersionFollower | None = None) -> ASGIApp:
    """Build the application; its models, database and measures are this process's own.

    Args:
        lab: The parts.
        setup: How it is set up.
        follower: Has the registered version that is served; None without one.

    """

    def begin() -> tuple[ServiceState, Engine]:
        engine = opened(address_of(lab.settings))
        upgraded(engine)
        capped = setup.limits.daily_usd is not None
        lab.build_text_room()
        found = offers(lab, setup.wanted, start=setup.start, capped=capped)
        if follower is not None:
            found.insert(0, VersionOffer(lab, follower, start=setup.start))
        state = ServiceState(
            lab,
            Desk(engine),
            found,
            setup.limits,
            CollectorRegistry(),
            measured_in=setup.measured_in,
            open_without_keys=setup.loopback,
            scoring=setup.scoring,
        )
        with writing(engine) as connection:
            forget_days_before(connection, day_of(state.started - 7 * 86_400))
            for offer in found:
                keep_deployment(connection, offer.deployment, offer.described())
        return state, engine

    @contextlib.asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        adopt(asyncio.get_running_loop())
        # Apart: providers that look something up first do it on this loop.
        state, engine = await asyncio.to_thread(begin)
        app.state.service = state
        # What is there now stays: nobody need look through it again for what could be let go.
        gc.collect()
        gc.freeze()
        beside = [asyncio.create_task(asyncio.to_thread(responses_routes.preload))]
        async with contextlib.AsyncExitStack() as stack:
            if follower is not None:
                beside.append(asyncio.create_task(_followed(lab, setup, follower, state)))
                app.state.passing = await stack.enter_async_context(_passing())
            try:
                yield {"head_seconds": setup.limits.head_seconds, "ending": state.end}
            finally:
                state.end()
                await _ended(state)
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)
                # Offers of one model with several prompts share it.
                for provider in {offer.provider for offer in state.offers.values()}:
                    await asyncio.to_thread(provider.close)
            await asyncio.to_thread(state.desk.close)
            engine.dispose()

    app = FastAPI(
        title="LLMFlowLab",
        summary="Language models with guardrails, sessions and tracking.",
        version="1",
        lifespan=life,
        redirect_slashes=False,
    )
    app.state.follower = follower
    own = (chat_routes, openai_routes, responses_routes, state_routes)
    for routes in own if follower is None else (*own, invocation_routes):
        app.include_router(routes.router)
    _explain_failures(app)
    _describe(app)
    if setup.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(setup.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=[TRACE_HEADER, "Retry-After"],
        )
    hosts = (*_OWN_NAMES, *setup.hosts) if setup.loopback or setup.hosts else ()
    return FrontGate(app, app.state, hosts)


async def _followed(
    lab: Lab, setup: ServiceSetup, follower: VersionFollower, state: ServiceState
) -> None:
    """Have new requests answered by whatever version the alias means."""
    retiring: list[asyncio.Task[None]] = []

    def moved() -> None:
        offer = VersionOffer(lab, follower, start=setup.start)
        described = offer.described()
        state.desk.put(
            lambda connection: keep_deployment(connection, offer.deployment, described),
            lasting=True,
        )
        before = state.offers[offer.name]
        state.offers[offer.name] = offer
        if isinstance(before, VersionOffer):
            retiring.append(asyncio.create_task(before.retire()))

    try:
        await follower.watch(moved)
    finally:
        for task in retiring:
            task.cancel()
        await asyncio.gather(*retiring, return_exceptions=True)


def _passing() -> httpx.AsyncClient:
    """Return the client by which requests are passed on; the caller's patience holds."""
    import httpx

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
    return httpx.AsyncClient(timeout=None, limits=limits, trust_env=False)  # noqa: S113 - see above


async def _ended(state: ServiceState) -> None:
    """Wait for answers that are still under way; all are kept."""
    for seconds in (state.limits.drain, _LAST):
        if state.open:
            await asyncio.wait(set(state.open), timeout=seconds)
        state.give_up()


def _explain_failures(app: FastAPI) -> None:
    @app.exception_handler(HttpRefusal)
    async def refuse(request: Request, exc: HttpRefusal) -> Any:
        return refused(state_of(request), exc)

    @app.exception_handler(LabError)
    @app.exception_handler(Exception)
    async def broken(request: Request, exc: Exception) -> Any:
        return refused(state_of(request), refusal_of(exc))

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, exc: RequestValidationError) -> Any:
        first: dict[str, Any] = dict(exc.errors()[0])
        if first.get("type") == "json_invalid":
            said = f"The body is no JSON (at character {first['loc'][-1] + 1})."
            return refused(state_of(request), HttpRefusal("bad_request", said))
        place = ".".join(str(part) for part in first.get("loc", ()) if part != "body")
        message = str(first.get("msg", "it cannot be understood")).removeprefix("Value error, ")
        said = f"{place}: {message}." if place else f"The body cannot be understood: {message}."
        return refused(
            state_of(request), HttpRefusal("bad_request", said[:1000], param=place[:200] or None)
        )

    @app.exception_handler(HTTPException)
    async def failed(request: Request, exc: HTTPException) -> Any:
        if exc.status_code == 405:
            refusal = HttpRefusal("method_not_allowed", "Another method is meant for this address.")
            response = refused(state_of(request), refusal)
            response.headers.update(exc.headers or {})
            return response
        if exc.status_code == 404:
            return refused(
                state_of(request), HttpRefusal("not_found", "There is nothing at this address.")
            )
        return refused(
            state_of(request), HttpRefusal("bad_request", "The request cannot be understood.")
        )


def _describe(app: FastAPI) -> None:
    """Describe refusals of every address in the OpenAPI document, and who needs a key."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = get_openapi(
                title=app.title, version=app.version, summary=app.summary, routes=app.routes
            )
            found.setdefault("components", {})["securitySchemes"] = {
                "HTTPBearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": BEARER.model.description,
                }
            }
            for path, methods in found["paths"].items():
                for operation in methods.values():
                    operation.get("responses", {}).pop("422", None)
                    if path not in {"/health", "/ready", "/metrics"}:
                        operation["security"] = [{"HTTPBearer": []}, {}]
            app.openapi_schema = found
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]
