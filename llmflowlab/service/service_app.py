"""The service as an ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from llmflowlab.lab.lab import Lab
from llmflowlab.lab.prompt_watch import PromptWatch
from llmflowlab.lab.prompts_in_use import PromptInUse
from llmflowlab.providers.event_loop import adopt
from llmflowlab.service import (
    chat_routes,
    invocation_routes,
    openai_routes,
    responses_routes,
    state_routes,
)
from llmflowlab.service.described_api import DescribedApi, explain_failures
from llmflowlab.service.entrance import at_once
from llmflowlab.service.front_gate import FrontGate
from llmflowlab.service.offers import ServedModels, offers, prompts_of, with_prompt
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
    every: float = 10.0
    """Seconds between two looks at the alias of a prompt."""


_LAST = 5.0
"""Seconds in which answers that were given up must have been kept."""
_AT_ONCE = {
    "/v1/chat/completions": at_once(openai_routes.completions),
    "/v1/responses": at_once(responses_routes.responses),
}
_OWN_NAMES = ("localhost", "127.0.0.1", "[::1]", "testserver")


def build_app(lab: Lab, setup: ServiceSetup, follower: VersionFollower | None = None) -> ASGIApp:
    """Build the application; its models, database and measures are this process's own.

    Args:
        lab: The parts.
        setup: How it is set up.
        follower: Has the registered version that is served; None without one.

    """

    def begin() -> tuple[ServiceState, Engine, list[PromptInUse]]:
        engine = opened(address_of(lab.settings))
        upgraded(engine)
        capped = setup.limits.daily_usd is not None
        lab.build_text_room()
        prompts = prompts_of(lab, setup.wanted)
        found = offers(lab, setup.wanted, start=setup.start, capped=capped, prompts=prompts)
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
        return state, engine, prompts

    @contextlib.asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        adopt(asyncio.get_running_loop())
        # Apart: providers that look something up first do it on this loop.
        state, engine, prompts = await asyncio.to_thread(begin)
        app.state.service = state
        # What is there now stays: nobody need look through it again for what could be let go.
        gc.collect()
        gc.freeze()
        beside = [asyncio.create_task(asyncio.to_thread(responses_routes.preload))]
        beside += [
            asyncio.create_task(_prompt_followed(lab, setup, state, prompt))
            for prompt in prompts
            if prompt.follows
        ]
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

    app = DescribedApi(
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
    explain_failures(app)
    if setup.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(setup.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=[TRACE_HEADER, "Retry-After"],
        )
    hosts = (*_OWN_NAMES, *setup.hosts) if setup.loopback or setup.hosts else ()
    # Pages of other origins are answered behind what says what they may see.
    direct = {} if setup.origins else _AT_ONCE
    return FrontGate(app, app.state, hosts, direct)


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


async def _prompt_followed(
    lab: Lab, setup: ServiceSetup, state: ServiceState, prompt: PromptInUse
) -> None:
    """Have new requests answered with whatever version of the prompt its alias means."""

    def load() -> PromptInUse:
        return next(each for each in prompts_of(lab, setup.wanted) if each.asked == prompt.asked)

    watch = PromptWatch(load, prompt)
    while True:
        await asyncio.sleep(setup.every)
        await asyncio.to_thread(watch.look)
        for sentence in watch.told():
            state.log.warning("%s", sentence)
        if (moved := watch.moved()) is not None:
            for name, before in state.offers.items():
                if before.prompt == moved.asked:
                    offer = with_prompt(lab, before, moved, start=setup.start)
                    # Who answers is there before any answer.
                    state.desk.put(
                        partial(keep_deployment, id_=offer.deployment, described=offer.described()),
                        lasting=True,
                    )
                    state.offers[name] = offer
            state.log.warning("%s is %s now; requests go there.", moved.asked, moved.reference)


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
