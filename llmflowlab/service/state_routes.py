"""How the service is: alive, ready, measured."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from llmflowlab.errors import TrackingError
from llmflowlab.machine import on_this_machine
from llmflowlab.service.entrance import refused_with, state_of
from llmflowlab.service.store.online_scores import scoring_state, unscored_count
from llmflowlab.service.store.served_turns import undelivered_count

__all__ = ["router"]

router = APIRouter(tags=["state"])


@router.get("/health", summary="Whether the process runs")
async def health() -> Any:
    """Say that the process answers; asks nobody else."""
    return JSONResponse({"status": "ok"})


@router.get("/ready", summary="Whether requests can be answered", responses=refused_with(503))
async def ready(request: Request) -> Any:
    """Say whether requests can be answered: 503 while the service ends or its database fails.

    `undelivered` are the turns that MLflow does not have yet, `unscored` the scores in the background that
    are not settled: they are kept, and no answer waits for them.
    """
    state = state_of(request)
    trouble = "the service is ending" if state.draining else state.desk.trouble
    waiting = unscored = None
    try:
        waiting = await state.desk.do(undelivered_count)
        unscored = await state.desk.do(unscored_count)
        state.measures.undelivered.set(waiting)
    except TrackingError as exc:
        trouble = exc.message
    found = {
        "ready": trouble is None,
        "reason": trouble,
        "models": list(state.offers),
        "answers_under_way": state.slots.taken,
        "waiting": state.slots.waiting,
        "undelivered": waiting,
        "unscored": unscored,
    }
    return JSONResponse(found, 200 if trouble is None else 503)


@router.get("/metrics", summary="Measures for Prometheus", response_class=Response)
async def metrics(request: Request) -> Response:
    """Return the measures; from another machine with a key."""
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

    state = state_of(request)
    address = request.client.host if request.client else ""
    if not on_this_machine(address):
        await state.caller(request.headers.get("authorization"), address)
    with suppress(TrackingError):
        state.measures.undelivered.set(await state.desk.do(undelivered_count))
        state.measures.scores.take(*await state.desk.do(scoring_state))
    state.measures.under_way.set(state.slots.taken)
    state.measures.waiting.set(state.slots.waiting)
    registry = state.registry
    if state.measured_in is not None:
        from prometheus_client.multiprocess import MultiProcessCollector

        # Of all workers together, whichever of them is asked.
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=state.measured_in)  # type: ignore[no-untyped-call]  # prometheus_client annotates nothing here
        registry.register(state.measures.scores)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
