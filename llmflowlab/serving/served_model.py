"""A registered version loaded into this process, and asked in the way it understands.

Three interfaces become one: OpenAI's chat (`ChatModel`), MLflow's responses (`ResponsesAgent`), and a
table of `messages` and `params` (`PythonModel`).
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from llmflowlab.agents.old_names import install
from llmflowlab.conversations import parse_json, read_conversation
from llmflowlab.errors import BadAnswer, InputError, LabError, TrackingError
from llmflowlab.loading import load
from llmflowlab.providers.arrival import field, name, pieces, the_answer, tokens
from llmflowlab.providers.base import ReasoningDelta, TextDelta, Usage
from llmflowlab.serving.trust import require_trust
from llmflowlab.settings import Settings
from llmflowlab.tracking.registry import Version, find_version, parse_version_name
from llmflowlab.tracking.store import load_mlflow, open_store

__all__ = [
    "Kind",
    "Piece",
    "ServedModel",
    "chat_payload",
    "kind_of",
    "load_version",
    "payload_of",
    "read_answer",
    "read_chat",
    "resolve",
]

Kind: TypeAlias = Literal["chat", "responses", "table"]

_UNSET_TEMPERATURE = 1.0
"""MLflow fills this in where a request names no temperature, so a wish for it needs another way."""
_TASKS: Mapping[str, Kind] = {"agent/v1/chat": "chat", "agent/v1/responses": "responses"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of an answer; None where it says nothing of that."""

    text: str = ""
    thinking: str = ""
    finish_reason: str | None = None
    model: str | None = None
    prompt_tokens: int | None = None
    """None where the provider behind the model did not count either: an estimate is no count."""
    completion_tokens: int | None = None

    @property
    def usage(self) -> Usage | None:
        """The two counts together; None where neither is known."""
        if self.prompt_tokens is None and self.completion_tokens is None:
            return None
        return Usage(prompt_tokens=self.prompt_tokens, completion_tokens=self.completion_tokens)


class ServedModel:
    """A loaded version.

    Args:
        model: What `mlflow.pyfunc.load_model` returned.
        kind: How it is asked.
        streams: Whether it answers piece by piece.
        config: Its `model_config`.
    """

    def __init__(self, model: Any, kind: Kind, *, streams: bool, config: Mapping[str, Any]) -> None:
        self.model = model
        self.kind = kind
        self.streams = streams
        self.config = config

    def answer(
        self, messages: Sequence[Mapping[str, str]], asked: Mapping[str, Any]
    ) -> Iterator[Piece]:
        """Yield the answer, in pieces where the model can.

        Args:
            messages: `{"role", "content"}`, system prompt first.
            asked: `temperature`, `top_p`, `max_tokens`, `seed` and `custom_inputs`; what is left out
                is as the version was configured.

        Raises:
            LabError: Whatever one of our agents ended with.
            BadAnswer: What came is no answer.
            Exception: Whatever somebody else's model raises.
        """
        if self.kind == "table":
            yield self.answer_rows([(list(messages), asked)])[0]
            return
        payload = chat_payload(messages, asked)
        if self.kind == "responses":
            payload = _responses_payload(messages, payload)
        if self.streams:
            try:
                for chunk in _unwrapped(lambda: self.model.predict_stream(payload)):
                    yield read_chat(chunk) if self.kind == "chat" else _read_event(chunk)
                return
            except NotImplementedError:
                # MLflow notes of every agent that it streams, also where it only could.
                self.streams = False
        (whole,) = _unwrapped(lambda: iter([self.model.predict(payload)]))
        yield read_chat(whole) if self.kind == "chat" else _read_response(whole)

    def answer_rows(self, rows: Sequence[tuple[Any, Any]]) -> list[Piece]:
        """Answer rows of a table in one call; the first that fails is raised.

        Raises:
            LabError: As `answer`.
        """
        return [_read_row(document) for document in self.documents(rows)]

    def documents(self, rows: Sequence[tuple[Any, Any]]) -> list[dict[str, Any]]:
        """Return the JSON document of each row of a table: `content`, `usage`, `error` and so on.

        Args:
            rows: Messages and params, as values or as JSON texts.

        Raises:
            LabError: As `answer`.
        """
        table = _table(self.model, rows)
        (answers,) = _unwrapped(lambda: iter([self.model.predict(table)]))
        try:
            found = [_document_of(text) for text in answers]
        except TypeError as exc:
            raise _unreadable() from exc
        if len(found) != len(rows) or not all(isinstance(one, dict) for one in found):
            raise _unreadable()
        return found


def resolve(settings: Settings, text: str) -> Version:
    """Return the version that `NAME/VERSION` or `NAME@ALIAS` means now.

    Raises:
        InputError: There is none.
        TrackingError: The store failed.
    """
    return find_version(open_store(settings), parse_version_name(text))


def load_version(settings: Settings, version: Version, *, traced: bool = False) -> ServedModel:
    """Load a version into this process.

    Args:
        settings: Names the store.
        version: Which.
        traced: Whether our agents trace their own steps; an evaluation and a chat trace each call
            already.

    Raises:
        NotConfigured: It comes from a store whose models nobody allowed to run here.
        LabError: One of our agents could not be set up: a key is missing, say.
        TrackingError: Its files are gone, or it cannot be loaded here.
    """
    require_trust(settings, version.reference)
    store = open_store(settings)
    load_mlflow(settings, "mlflow.pyfunc", "mlflow.models")
    import mlflow.pyfunc
    from mlflow.models import Model

    with store.translated():
        described = Model.load(version.uri)
    flavor = described.flavors.get("python_function")
    if flavor is None:
        raise InputError(f"{version.reference} is no model that MLflow can load in Python.")
    config = dict(flavor.get("config") or {})
    kind, streams = kind_of(
        (described.metadata or {}).get("task"), streamable=bool(flavor.get("streamable"))
    )
    # Others' models may refuse what they do not know.
    ours = "provider" in config or "roles" in config
    changed = {"tracing": False} if ours and not traced else None
    install()
    before = list(sys.path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = mlflow.pyfunc.load_model(version.uri, model_config=changed)
        except Exception as exc:
            # A model's own code runs here: anything can come out of it.
            inner = getattr(exc, "error", None)
            if isinstance(inner, LabError):
                raise inner from None
            raise TrackingError(
                f"{version.reference} cannot be loaded here ({type(exc).__name__}: "
                f"{_first_line(exc)})."
            ) from exc
        finally:
            # The code that travels with a model must not stand before the lab's own: processes that
            # are started later get this path.
            added = [] if ours else [path for path in sys.path if path not in before]
            sys.path[:] = [*before, *added]
    return ServedModel(model, kind, streams=streams, config=config)


def chat_payload(messages: Sequence[Mapping[str, str]], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return OpenAI's chat payload, with what the protocol lacks under `custom_inputs`."""
    custom = dict(asked.get("custom_inputs") or {})
    payload: dict[str, Any] = {"messages": [dict(message) for message in messages]}
    for knob in ("temperature", "top_p", "max_tokens"):
        if asked.get(knob) is not None:
            payload[knob] = asked[knob]
    if payload.get("temperature") == _UNSET_TEMPERATURE:
        custom["temperature"] = _UNSET_TEMPERATURE
    if asked.get("seed") is not None:
        custom["seed"] = asked["seed"]
    if custom:
        payload["custom_inputs"] = custom
    return payload


def kind_of(task: str | None, *, streamable: bool) -> tuple[Kind, bool]:
    """Return how a logged model is asked, and whether it answers piece by piece.

    Args:
        task: The `task` of its metadata.
        streamable: What its flavor says.
    """
    kind = _TASKS.get(task or "", "table")
    return kind, streamable and kind != "table"


def payload_of(
    kind: Kind, messages: Sequence[Mapping[str, str]], asked: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a server is sent for a conversation."""
    if kind == "table":
        row = {"messages": _as_text(list(messages)), "params": _as_text(dict(asked))}
        return {"dataframe_records": [row]}
    payload = chat_payload(messages, asked)
    return _responses_payload(messages, payload) if kind == "responses" else payload


def read_answer(kind: Kind, document: Any) -> Piece:
    """Read what a server answered to that: the whole, or a piece of a stream.

    Raises:
        BadAnswer: It is no answer.
        RowFailed: The row's answer is an error.
    """
    if kind == "chat":
        return read_chat(document)
    if kind == "responses":
        event = isinstance(document, Mapping) and str(document.get("type", "")).startswith(
            "response."
        )
        return _read_event(document) if event else _read_response(document)
    rows = document.get("predictions") if isinstance(document, Mapping) else document
    try:
        (row,) = list(rows or [])
        return _read_row(json.loads(row) if isinstance(row, str) else row)
    except (ValueError, TypeError) as exc:
        raise _unreadable() from exc


def read_chat(value: Any) -> Piece:
    """Read a whole answer or a chunk of OpenAI's chat protocol.

    Raises:
        BadAnswer: It is neither.
    """
    document = _plain(value)
    choice = the_answer(document.get("choices"))
    # A chunk may have no choices: a filter's word, or the usage.
    if not (choice is None or isinstance(choice, Mapping)) or not {"choices", "usage"} & {
        *document
    }:
        raise _unreadable()
    said = field(choice, "message") or field(choice, "delta")
    content = list(pieces(field(said, "content")))
    prompt, completion = _counts(document, "prompt_tokens", "completion_tokens")
    return Piece(
        text="".join(piece.text for piece in content if isinstance(piece, TextDelta)),
        thinking="".join(piece.text for piece in content if isinstance(piece, ReasoningDelta)),
        finish_reason=name(field(choice, "finish_reason")),
        model=name(document.get("model")),
        prompt_tokens=prompt,
        completion_tokens=completion,
    )


def _responses_payload(
    messages: Sequence[Mapping[str, str]], payload: Mapping[str, Any]
) -> dict[str, Any]:
    changed: dict[str, Any] = {"input": [dict(message) for message in messages]}
    for knob, other in (
        ("temperature", "temperature"),
        ("top_p", "top_p"),
        ("max_tokens", "max_output_tokens"),
        ("custom_inputs", "custom_inputs"),
    ):
        if knob in payload:
            changed[other] = payload[knob]
    return changed


def _read_response(value: Any) -> Piece:
    document = _plain(value)
    texts = [
        part.get("text") or ""
        for item in document.get("output") or ()
        if item.get("type") == "message"
        for part in item.get("content") or ()
        if part.get("type") == "output_text"
    ]
    prompt, completion = _counts(document, "input_tokens", "output_tokens")
    return Piece(
        text="".join(texts),
        finish_reason="length" if document.get("status") == "incomplete" else "stop",
        model=name(document.get("model")),
        prompt_tokens=prompt,
        completion_tokens=completion,
    )


def _read_event(value: Any) -> Piece:
    event = _plain(value)
    if event.get("type") == "response.output_text.delta":
        return Piece(text=str(event.get("delta") or ""))
    if event.get("type") in {"response.completed", "response.incomplete"}:
        whole = _read_response(event.get("response") or {})
        # Its text came in the pieces before.
        return Piece(
            finish_reason=whole.finish_reason,
            model=whole.model,
            prompt_tokens=whole.prompt_tokens,
            completion_tokens=whole.completion_tokens,
        )
    return Piece()


def _read_row(document: Mapping[str, Any]) -> Piece:
    error = document.get("error")
    if error:
        message = error.get("message") if isinstance(error, Mapping) else error
        raise RowFailed(str(message), reason=str(dict(error).get("reason") or "failed"))
    usage = document.get("usage") or {}
    counted = not usage.get("estimated")
    return Piece(
        text=str(document.get("content") or ""),
        finish_reason=name(document.get("finish_reason")),
        model=name(document.get("model")),
        prompt_tokens=tokens(usage.get("prompt_tokens")) if counted else None,
        completion_tokens=tokens(usage.get("completion_tokens")) if counted else None,
    )


class RowFailed(BadAnswer):
    """A row of a table whose answer is an error."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message, provider="mlflow")
        # The agent's own short name for what happened says more than that the row failed.
        self.reason = reason  # type: ignore[misc]  # of this one row, not of the class


def _unwrapped(ask: Any) -> Iterator[Any]:
    """Yield what a model yields; our agents' failures come out as the lab's own."""
    failed: LabError | None = None
    try:
        with warnings.catch_warnings():
            yield from ask()
    except LabError:
        raise
    except Exception as exc:
        inner = getattr(exc, "error", None)
        if not isinstance(inner, LabError):
            raise
        failed = inner
    if failed is not None:
        raise failed


def _counts(
    document: Mapping[str, Any], prompt: str, completion: str
) -> tuple[int | None, int | None]:
    usage = document.get("usage")
    custom = document.get("custom_outputs")
    if not isinstance(usage, Mapping) or (
        isinstance(custom, Mapping) and custom.get("tokens_estimated")
    ):
        return None, None
    return tokens(usage.get(prompt)), tokens(usage.get(completion))


def _plain(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    for method in ("to_dict", "model_dump"):
        if hasattr(value, method):
            return dict(getattr(value, method)())
    raise _unreadable()


def _unreadable() -> BadAnswer:
    return BadAnswer("The served model sent something that is no answer.", provider="mlflow")


def _table(model: Any, rows: Sequence[tuple[Any, Any]]) -> Any:
    """Return rows as a model's signature wants them.

    Ours has `messages` and `params`; somebody else's may have the one, or a single column of any name,
    which gets the question.
    """
    load("pandas")
    import pandas as pd

    schema = model.metadata.get_input_schema() if hasattr(model, "metadata") else None
    columns = list(schema.input_names()) if schema is not None and schema.has_input_names() else []
    if len(columns) == 1 and columns != ["messages"]:
        return pd.DataFrame({columns[0]: [_question(messages) for messages, _ in rows]})
    whole = {
        "messages": [_as_text(messages) for messages, _ in rows],
        "params": [_as_text(params or {}) for _, params in rows],
    }
    return pd.DataFrame({name: whole[name] for name in whole if name in columns or not columns})


def _question(messages: Any) -> str:
    said = parse_json(messages, "messages") if isinstance(messages, str) else messages
    return read_conversation(said).question


def _document_of(text: Any) -> Any:
    """Return what a row's answer says; one that is no JSON object is the answer's text."""
    if not isinstance(text, str):
        raise TypeError
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"content": text}


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _first_line(exc: BaseException) -> str:
    return str(exc).strip().partition("\n")[0][:300]
