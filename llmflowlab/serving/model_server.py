"""A logged model behind MLflow's scoring server, with streaming added; run as a program of its own.

It imports nothing of the lab's, so that the code which travels with the model is what runs. It ends when its standard input does: with its parent, however
that ended. The first line it prints is `ready PORT`, or `failed CODE SENTENCE`.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
import socket
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

__all__ = ["main"]

_NOT_CONFIGURED = 3


def main(uri: str, host: str, port: int) -> None:
    """Load the model and answer until standard input ends."""
    warnings.simplefilter("ignore")
    import uvicorn
    from mlflow.pyfunc import scoring_server

    try:
        model = scoring_server.load_model_with_mlflow_config(uri)  # type: ignore[no-untyped-call]  # MLflow annotates nothing here
    except Exception as exc:  # noqa: BLE001
        # The model's own code runs here; its parent is told, whatever it was.
        inner = getattr(exc, "error", None)
        code = _NOT_CONFIGURED if int(getattr(inner, "exit_code", 1)) == _NOT_CONFIGURED else 1
        text = " ".join(str(getattr(inner, "message", None) or exc).split())
        _tell(f"failed {code} {text[:1000]}")
        return
    app = scoring_server.init(model)
    _add_streaming(app, model)
    listening = socket.create_server((host, port))
    # Connections outlive the front's own patience: one closed here while it is taken up there would
    # be a request lost.
    config = uvicorn.Config(app, log_level="error", access_log=False, timeout_keep_alive=600)
    server = uvicorn.Server(config)

    def end_with_parent() -> None:
        sys.stdin.buffer.read()
        server.should_exit = True

    threading.Thread(target=end_with_parent, name="parent", daemon=True).start()
    _tell(f"ready {listening.getsockname()[1]}")
    server.run(sockets=[listening])
    _drain_traces()


def _drain_traces() -> None:
    """Wait until the traces of our agents are stored; their code came with the model, or did not."""
    try:
        from llmflowlab.agents import trace_delivery
    except ImportError:
        # Somebody else's model, or ours of an earlier version.
        return
    if (said := trace_delivery.flush().sentence) is not None:
        _tell(f"traces {said}")


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _add_streaming(app: Any, model: Any) -> None:
    """Answer `"stream": true` piece by piece; MLflow's own server answers it in one piece."""
    from starlette.requests import Request
    from starlette.responses import Response, StreamingResponse
    from starlette.routing import Route

    streams = bool((model.metadata.flavors.get("python_function") or {}).get("streamable"))
    whole = next(route for route in app.router.routes if route.path == "/invocations")

    async def invocations(request: Request) -> Response:
        payload = _streamed_payload(await request.body()) if streams else None
        recorded = "x-llmflowlab-recorded" in request.headers
        if payload is None:
            with _traced(not recorded):
                answered: Response = await whole.endpoint(request)
            return answered
        pieces = _lines(model, payload, not recorded)
        # The first piece is waited for, so that a refusal still has a status of its own.
        first = await asyncio.to_thread(next, pieces)
        if isinstance(first, Failure):
            return Response(first.document, first.status, media_type="application/json")

        def lines() -> Iterator[str]:
            yield f"data: {first}\n\n"
            for piece in pieces:
                yield f"data: {piece.document if isinstance(piece, Failure) else piece}\n\n"
            yield "data: [DONE]\n\n"

        return StreamingResponse(lines(), media_type="text/event-stream")

    app.router.routes.insert(0, Route("/invocations", invocations, methods=["POST"]))


def _traced(wanted: bool) -> Any:
    """Leave a call untraced that is recorded by whoever makes it: it must not count twice."""
    if wanted:
        return contextlib.nullcontext()
    import mlflow

    context = getattr(mlflow.tracing, "context", None)
    # An MLflow that came with the model may be older than that.
    return contextlib.nullcontext() if context is None else context(enabled=False)


class Failure:
    """A failure as MLflow's servers word it.

    Args:
        exc: What was raised.
    """

    def __init__(self, exc: Exception) -> None:
        from mlflow.exceptions import MlflowException

        if not isinstance(exc, MlflowException):
            exc = MlflowException(f"The model failed ({type(exc).__name__}: {exc}).")
        self.document = str(exc.serialize_as_json())  # type: ignore[no-untyped-call]  # as above
        self.status = int(exc.get_http_status_code())  # type: ignore[no-untyped-call]  # as above


def _lines(model: Any, payload: Any, traced: bool) -> Iterator[str | Failure]:
    """Yield the pieces, all made in one context: each may be fetched from another thread."""
    context, pieces = contextvars.copy_context(), _pieces(model, payload, traced)
    while (piece := context.run(next, pieces, None)) is not None:
        yield piece


def _pieces(model: Any, payload: Any, traced: bool) -> Iterator[str | Failure]:
    try:
        with _traced(traced):
            for piece in model.predict_stream(payload):
                value = piece if isinstance(piece, dict) else piece.model_dump()
                yield json.dumps(value, ensure_ascii=False)
    except Exception as exc:  # noqa: BLE001
        # Whatever a model raises, the client must hear of it and the server must go on.
        yield Failure(exc)


def _streamed_payload(body: bytes) -> Any:
    """Return the payload of a request that wants a stream, without that wish; else None."""
    try:
        document = json.loads(body)
    except ValueError:
        return None
    if not isinstance(document, dict) or document.get("stream") is not True:
        return None
    return {name: value for name, value in document.items() if name != "stream"}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
