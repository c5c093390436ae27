"""A logged `responses` agent behind OpenAI's Responses API; `mlflow models serve` does not stream it.

`python -m llmflowlab.agents.agent_server MODEL_URI [--host HOST] [--port PORT]` answers `/v1/responses`,
`/responses` and `/invocations`; with `"stream": true` in the request, event by event. MLflow's own agent
server answers every failure with 500, a bad request too.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from llmflowlab.agents import trace_delivery
from llmflowlab.errors import InputError, LabError, ProviderError
from llmflowlab.settings import SERVING_EXPERIMENT, Settings, load_settings

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["build_app", "main", "serving_experiment"]

_MOST_BYTES = 20_000_000
"""Of a request's body."""


def serving_experiment(settings: Settings) -> str | None:
    """Return the id of the experiment for models without one; None where the environment names another.

    Raises:
        TrackingError: The store failed.
    """
    if settings.get("MLFLOW_EXPERIMENT_NAME") or settings.get("MLFLOW_EXPERIMENT_ID"):
        return None
    # Imported here: command lines are read without a store.
    from llmflowlab.tracking.store import open_store

    return open_store(settings).experiment_id(SERVING_EXPERIMENT)


def build_app(settings: Settings, uri: str) -> Starlette:
    """Load an agent and return the server's application.

    Args:
        settings: Names the store that the address is looked up in.
        uri: `models:/…` or a folder.

    Raises:
        InputError: It is no `responses` agent.
        AgentFailed: A key or address is missing.
        TrackingError: The store failed.
        MlflowException: The model cannot be loaded.
    """
    import mlflow.pyfunc
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    mlflow.set_tracking_uri(settings.tracking_uri)
    if (experiment := serving_experiment(settings)) is not None:
        mlflow.set_experiment(experiment_id=experiment)
    model = mlflow.pyfunc.load_model(uri)
    agent = model.get_raw_model()
    if not isinstance(agent, mlflow.pyfunc.ResponsesAgent):
        raise InputError(
            f"{uri} is no ResponsesAgent; serve it with `mlflow models serve -m {uri}`."
        )
    served = _Served(agent, model.model_id)

    async def healthy(request: Request) -> Response:
        return JSONResponse({"status": "healthy"})

    async def about(request: Request) -> Response:
        return JSONResponse({"name": "llmflowlab", "use_case": "agent", "agent_api": "responses"})

    @contextlib.asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        yield
        count = await asyncio.to_thread(trace_delivery.flush)
        if count.sentence is not None:
            sys.stderr.write(count.sentence + "\n")

    posted = ("/v1/responses", "/responses", "/invocations")
    return Starlette(
        routes=[
            *(Route(path, served.answer, methods=["POST"]) for path in posted),
            Route("/health", healthy),
            Route("/agent/info", about),
        ],
        lifespan=life,
    )


class _Served:
    """The loaded agent, asked in threads: it blocks while it answers.

    Args:
        agent: Its class is ours or anybody's.
        model_id: Of its logged model, to which its traces belong; None where there is none.
    """

    def __init__(self, agent: Any, model_id: str | None) -> None:
        self._agent = agent
        self._model_id = model_id

    async def answer(self, request: Request) -> Response:
        from starlette.responses import JSONResponse, StreamingResponse

        try:
            document = await _document(request)
            streamed = document.pop("stream", None) is True
            asked = self._asked(document)
            if not streamed:
                return JSONResponse(await asyncio.to_thread(self._whole, asked))
            events = _in_one_context(self._events(asked))
            # The first one is waited for, so that a refusal still has a status of its own.
            first = await anext(events)
        except Exception as exc:  # noqa: BLE001 - anybody's code answers here; the client is told of it
            status, error = _failure(exc)
            return JSONResponse(
                # The second is how MLflow's servers say it.
                {"error": error, "error_code": error["code"], "message": error["message"]},
                status,
            )
        return StreamingResponse(_lines(first, events), media_type="text/event-stream")

    def _asked(self, document: dict[str, Any]) -> Any:
        from mlflow.types.responses import ResponsesAgentRequest
        from pydantic import ValidationError

        from llmflowlab.agents.responses_payload import as_items, read_request

        asked = read_request(document)
        if getattr(self._agent, "takes_whole_requests", False):
            return asked
        try:
            return ResponsesAgentRequest(**{**document, "input": as_items(asked)})
        except ValidationError as exc:
            raise InputError(f"The request cannot be used: {exc.errors()[0]['msg']}.") from exc

    def _whole(self, asked: Any) -> Any:
        with self._known():
            return _plain(self._agent.predict(asked))

    def _events(self, asked: Any) -> Iterator[dict[str, Any]]:
        with self._known():
            for event in self._agent.predict_stream(asked):
                yield _plain(event)

    @contextlib.contextmanager
    def _known(self) -> Iterator[None]:
        from mlflow.pyfunc.context import Context, set_prediction_context

        with set_prediction_context(Context(model_id=self._model_id)):
            yield


class _TooLarge(InputError):
    """A request's body is more than the server holds."""


async def _document(request: Request) -> dict[str, Any]:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _MOST_BYTES:
            raise _TooLarge(f"The request has more than {_MOST_BYTES:,} bytes.")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise InputError("The request is no JSON.") from exc
    if not isinstance(document, dict):
        raise InputError('The request must be an object, such as {"input": "Hello"}.')
    return document


async def _in_one_context(pieces: Iterator[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    """Yield what is made in threads, all of it in one context; left early, it is closed."""
    context = contextvars.copy_context()

    def made() -> dict[str, Any] | None:
        return context.run(lambda: next(pieces, None))

    under_way = asyncio.ensure_future(asyncio.to_thread(made))
    try:
        while (piece := await asyncio.shield(under_way)) is not None:
            yield piece
            under_way = asyncio.ensure_future(asyncio.to_thread(made))
    finally:
        with contextlib.suppress(Exception):
            # What is being waited for in the thread comes first; a failure of it was told above.
            await asyncio.shield(under_way)
        close = getattr(pieces, "close", None)
        if close is not None:
            await asyncio.shield(asyncio.to_thread(context.run, close))


async def _lines(
    first: dict[str, Any], events: AsyncIterator[dict[str, Any]]
) -> AsyncIterator[str]:
    number = -1
    try:
        yield _line(first)
        async for event in events:
            number = int(event.get("sequence_number") or number + 1)
            yield _line(event)
    except Exception as exc:  # noqa: BLE001 - as above
        error = _failure(exc)[1]
        broke = {"type": "error", "sequence_number": number + 1, "param": None}
        yield _line({**broke, "code": error["code"], "message": error["message"]})
    yield "data: [DONE]\n\n"


def _line(event: dict[str, Any]) -> str:
    return f"event: {event.get('type')}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n"


def _plain(value: Any) -> Any:
    if getattr(value, "complete", None) is not None:
        return value.complete
    return value.model_dump(exclude_none=True) if hasattr(value, "model_dump") else value


def _failure(exc: Exception) -> tuple[int, dict[str, Any]]:
    """Return the status of a failure, and the error as OpenAI's clients read it."""
    from mlflow.exceptions import MlflowException

    from llmflowlab.agents.served import AgentFailed

    failed = AgentFailed(exc) if isinstance(exc, LabError) else exc
    if not isinstance(failed, MlflowException):
        status, code = 500, "model_failed"
        message = f"The model failed ({type(exc).__name__})."
    else:
        status = int(failed.get_http_status_code())  # type: ignore[no-untyped-call]  # MLflow's
        inner = getattr(failed, "error", None)
        code = "invalid_request" if status == 400 else "server_error"
        status, code = (413, "too_large") if isinstance(exc, _TooLarge) else (status, code)
        code = inner.reason if isinstance(inner, ProviderError) else code
        message = str(failed.message)
    kind = "invalid_request_error" if status < 500 else "server_error"
    return status, {"message": message, "type": kind, "code": code, "param": None}


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until the process is told to end.

    Args:
        arguments: As after the program's name: the model (`models:/NAME@ALIAS`,
            `models:/NAME/VERSION` or a folder), then `--host HOST` and `--port PORT` where wanted.

    Raises:
        InputError: They cannot be understood.
    """
    uri, host, port = _read(sys.argv[1:] if arguments is None else arguments)
    import uvicorn

    app = build_app(load_settings(stdin_is_terminal=False), uri)
    uvicorn.run(app, host=host, port=port)


def _read(arguments: Sequence[str]) -> tuple[str, str, int]:
    # Not by argparse: command lines are the console's, which does not travel with a model.
    options = {"--host": "127.0.0.1", "--port": "8000"}
    named: list[str] = []
    left = [part for given in arguments for part in _parts(given)]
    while left:
        word = left.pop(0)
        if word in options and left:
            options[word] = left.pop(0)
        else:
            named.append(word)
    port = options["--port"]
    if len(named) != 1 or named[0].startswith("-") or not port.isdecimal():
        raise InputError(
            "usage: python -m llmflowlab.agents.agent_server MODEL_URI [--host HOST] [--port PORT]"
        )
    return named[0], options["--host"], int(port)


def _parts(given: str) -> list[str]:
    """Take `--port=8000` apart."""
    return given.split("=", 1) if given.startswith("--") else [given]


if __name__ == "__main__":
    try:
        main()
    except InputError as exc:
        sys.stderr.write(exc.message + "\n")
        sys.exit(exc.exit_code)
