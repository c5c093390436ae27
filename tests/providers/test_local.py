"""Provider `local` over an engine that answers from a script; the real one is in `tests/e2e/test_local.py`."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.asking.pacing import limiter_for
from llmflowlab.errors import (
    BadAnswer,
    BadRequest,
    ContextTooLong,
    InputError,
    NotConfigured,
    Overloaded,
    StreamInterrupted,
)
from llmflowlab.messages import Message, Parameters, Request
from llmflowlab.providers.base import (
    Finished,
    ReasoningDelta,
    TextDelta,
    Usage,
    UsageReport,
)
from llmflowlab.providers.factory import build
from llmflowlab.providers.local import llama, provider
from llmflowlab.providers.local.gguf import NotGguf, read_paper
from llmflowlab.providers.local.llama import LoadFailed
from llmflowlab.providers.local.provider import LocalProvider
from llmflowlab.settings import Settings, load_settings
from tests.patience import hold
from tests.providers.local_files import FakeServer, chunk, write_gguf

NAME = "tiny"
END = [
    chunk(reason="stop"),
    {
        "choices": [],
        "usage": {
            "prompt_tokens": 12,
            "completion_tokens": 2,
            "prompt_tokens_details": {"cached_tokens": 4},
        },
    },
]
PROGRESS = chunk(prompt_progress={"total": 12, "cache": 4, "processed": 4})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    fake = FakeServer()
    monkeypatch.setattr(llama, "start_server", lambda model, **how: fake)
    monkeypatch.setattr(provider, "load", lambda name: object())
    return fake


@pytest.fixture
def file(settings: Settings) -> Path:
    return write_gguf(settings.models_dir / f"{NAME}.gguf")


def asked(text: str = "Hello", **more: Any) -> Request:
    return Request(messages=(Message("user", text),), **more)


def local(settings: Settings, model: str = NAME) -> LocalProvider:
    made = build(f"local:{model}", settings)
    assert isinstance(made, LocalProvider)
    return made


def test_an_answer_is_told_with_its_usage_and_the_file_that_gave_it(
    settings: Settings, server: FakeServer, file: Path
) -> None:
    server.answers = [[PROGRESS, chunk(), chunk("Hel"), chunk("lo"), *END]]
    model = local(settings)
    events = list(model.stream(asked()))
    model.close()
    assert [e for e in events if isinstance(e, TextDelta)] == [TextDelta("Hel"), TextDelta("lo")]
    counts = [event.usage for event in events if isinstance(event, UsageReport)]
    assert counts == [
        Usage(prompt_tokens=12, cached_tokens=4),
        Usage(prompt_tokens=12, completion_tokens=2, cached_tokens=4),
    ]
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    last = events[-1]
    assert isinstance(last, Finished)
    assert (last.reason, last.model_version) == ("stop", f"tiny.gguf@{digest[:12]}")
    assert model.weights == {"file": "tiny.gguf", "sha256": digest}


def test_loading_and_waiting_for_a_place_are_apart_from_the_answer(
    settings: Settings, server: FakeServer, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def load(model: Any, **how: Any) -> FakeServer:
        clock[0] += 5
        return server

    def wait() -> None:
        clock[0] += 2

    monkeypatch.setattr(llama, "start_server", load)
    server.answers = [[wait, PROGRESS, chunk("x"), *END]]
    model = local(settings)
    last = list(model.stream(asked()))[-1]
    model.close()
    assert isinstance(last, Finished)
    assert last.load_seconds == 7


def test_what_is_asked_reaches_llama_cpp_in_its_words(
    settings: Settings, server: FakeServer, file: Path
) -> None:
    server.answers = [[PROGRESS, chunk("x"), *END] for _ in range(2)]
    model = local(settings)
    schema = {"type": "object"}
    given = Parameters(temperature=0.2, top_p=0.5, max_tokens=9000, seed=7)
    list(model.stream(asked(system="Be kind.", parameters=given, response_schema=schema)))
    list(model.stream(asked()))
    model.close()
    first, second = server.payloads
    assert first["messages"][0] == {"role": "system", "content": "Be kind."}
    assert (first["temperature"], first["top_p"], first["seed"]) == (0.2, 0.5, 7)
    assert first["response_format"]["json_schema"]["schema"] == schema
    assert first["max_tokens"] == provider.LONGEST_IN_A_FORM
    # The same seed is to give the same answer, whatever was asked before.
    assert (first["cache_prompt"], second["cache_prompt"]) == (False, True)
    assert second["max_tokens"] == provider.LONGEST_ANSWER
    assert not {"temperature", "top_p", "seed", "response_format"} & second.keys()


@pytest.mark.parametrize(
    ("told", "reason"),
    [("stop", "stop"), ("length", "length"), ("tool_calls", "tool_calls"), ("new", "other")],
)
def test_the_end_is_told_in_our_words(
    settings: Settings, server: FakeServer, file: Path, told: str, reason: str
) -> None:
    server.answers = [[PROGRESS, chunk("x"), chunk(reason=told)]]
    model = local(settings)
    last = list(model.stream(asked()))[-1]
    model.close()
    assert isinstance(last, Finished)
    assert last.reason == reason


def test_thinking_is_kept_apart(settings: Settings, server: FakeServer, file: Path) -> None:
    server.answers = [[PROGRESS, chunk(thinking="hm"), chunk("yes"), *END]]
    model = local(settings)
    events = list(model.stream(asked()))
    model.close()
    assert ReasoningDelta("hm") in events
    assert TextDelta("yes") in events


TOO_LONG = {
    "code": 400,
    "type": "exceed_context_size_error",
    "message": "too long",
    "n_prompt_tokens": 5000,
    "n_ctx": 4096,
}


@pytest.mark.parametrize(
    ("steps", "kind", "words"),
    [
        pytest.param(
            [{"error": TOO_LONG}],
            ContextTooLong,
            r"5000 tokens long, and tiny reads 4096 here; .*LLMFLOWLAB_LOCAL_NUM_CTX.*ends at 8192",
            id="window",
        ),
        pytest.param(
            [{"error": {**TOO_LONG, "n_ctx": 8192}}],
            ContextTooLong,
            "take a model with a larger window",
            id="largest-window",
        ),
        pytest.param(
            [{"error": {"type": "invalid_request_error", "message": "no such field"}}],
            BadRequest,
            "no such field",
            id="refused",
        ),
        pytest.param(
            [{"error": {"type": "unavailable_error", "message": "loading"}}],
            Overloaded,
            "busy: loading",
            id="busy",
        ),
        pytest.param(
            [{"error": {"type": "server_error", "message": "oops"}}], BadAnswer, "oops", id="failed"
        ),
        pytest.param([{"error": "strange"}], BadAnswer, r"failed\.", id="strange"),
        pytest.param(
            [ValueError("JSON schema error at #")], BadRequest, "JSON schema error", id="schema"
        ),
        pytest.param([PROGRESS], BadAnswer, "without saying", id="nothing"),
        pytest.param([PROGRESS, chunk("x")], StreamInterrupted, "without saying", id="broken-off"),
    ],
)
def test_what_goes_wrong_is_one_of_our_errors(
    settings: Settings,
    server: FakeServer,
    file: Path,
    steps: list[Any],
    kind: type[Exception],
    words: str,
) -> None:
    server.answers = [steps]
    model = local(settings)
    with pytest.raises(kind, match=words):
        list(model.stream(asked()))
    model.close()


def test_an_answer_given_up_is_not_generated_further(
    settings: Settings, server: FakeServer, file: Path
) -> None:
    go_on = threading.Event()
    rest = [chunk(str(n)) for n in range(100)]
    server.answers = [[PROGRESS, chunk("x"), lambda: hold(go_on), *rest, *END]]
    model = local(settings)
    stream = model.stream(asked())
    assert isinstance(next(stream), UsageReport)
    assert next(stream) == TextDelta("x")
    stream.close()  # type: ignore[attr-defined]  # it is a generator
    go_on.set()
    hold(server.given_up)
    assert len(server.said) == 3
    model.close()


def test_a_file_is_loaded_once_for_all_and_let_go_after_the_last(
    settings: Settings, server: FakeServer, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[dict[str, Any]] = []

    def load(model: Any, **how: Any) -> FakeServer:
        loaded.append(how)
        return server

    monkeypatch.setattr(llama, "start_server", load)
    one, other = local(settings), local(settings, f"{NAME}.gguf")
    assert loaded == []
    one.prepare()
    other.prepare()
    assert [how["window"] for how in loaded] == [4096]
    one.close()
    one.close()
    assert len(llama._shared) == 1
    other.close()
    assert llama._shared == {}
    one = local(settings)
    one.prepare()
    one.close()
    assert len(loaded) == 2


def test_the_window_is_known_without_loading_and_can_be_set(
    tmp_path: Path, server: FakeServer, file: Path
) -> None:
    def window(**variables: str) -> int | None:
        return local(load_settings(variables, cwd=tmp_path)).context_window()

    assert window() == 4096
    assert window(LLMFLOWLAB_LOCAL_NUM_CTX="6000") == 6000
    assert window(LLMFLOWLAB_LOCAL_NUM_CTX="99999") == 8192
    write_gguf(file, llama__context_length=512)
    assert window() == 512
    file.unlink()
    assert LocalProvider(NAME, load_settings({}, cwd=tmp_path)).context_window() is None


@pytest.mark.parametrize("variable", ["LLMFLOWLAB_LOCAL_NUM_CTX", "LLMFLOWLAB_LOCAL_THREADS"])
def test_a_setting_that_is_no_number_is_refused(tmp_path: Path, file: Path, variable: str) -> None:
    with pytest.raises(InputError, match=f"{variable} is 'many'; set it to a whole number"):
        build(f"local:{NAME}", load_settings({variable: "many"}, cwd=tmp_path))


def test_a_file_that_is_missing_is_told_with_its_remedy(
    settings: Settings, server: FakeServer
) -> None:
    with pytest.raises(NotConfigured, match=r"`python main.py models fetch` brings it \(98 MB\)"):
        build("local", settings)
    write_gguf(settings.models_dir / "other.gguf")
    with pytest.raises(
        NotConfigured, match=r"holds no mine.gguf: put the GGUF file there; there: o"
    ):
        build("local:mine", settings)
    with pytest.raises(NotConfigured, match="holds no"):
        build("local:../models/other", settings)


@pytest.mark.parametrize("content", [b"", b"GGUF", b"PK\3\4 a zip", b"GGUF\3\0\0\0" + b"\xff" * 40])
def test_a_file_that_is_no_gguf_is_told(
    settings: Settings, server: FakeServer, file: Path, content: bytes
) -> None:
    file.write_bytes(content)
    with pytest.raises(NotGguf):
        read_paper(file)
    with pytest.raises(NotConfigured, match=r"cannot be used as a model .*put a whole GGUF file"):
        build(f"local:{NAME}", settings)
    assert LocalProvider(NAME, settings).list_models() == []


def test_what_llama_cpp_does_not_take_is_told(
    settings: Settings, server: FakeServer, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(error: Exception) -> Callable[..., Any]:
        def load(model: Any, **how: Any) -> Any:
            raise error

        return load

    model = local(settings)
    monkeypatch.setattr(llama, "start_server", fails(LoadFailed("no")))
    with pytest.raises(NotConfigured, match=r"llama\.cpp cannot load .*take another file"):
        model.prepare()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        pytest.param(
            ModuleNotFoundError("No module named 'xllamacpp'", name="xllamacpp"),
            "The package xllamacpp is missing; `pip install -r requirements.txt` brings it",
            id="missing",
        ),
        # It was called ready, and then missing.
        pytest.param(
            ImportError("libstdc++.so.6: version `GLIBCXX_3.4.32' not found"),
            "xllamacpp does not load on this system, .*: libstdc.*GLIBCXX_3.4.32' not found.",
            id="broken",
        ),
    ],
)
def test_where_the_engine_does_not_load_one_sentence_says_so_and_nothing_is_fetched(
    settings: Settings, file: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    def fails(name: str) -> None:
        raise error

    monkeypatch.setattr(provider, "load", fails)
    model = LocalProvider(NAME, settings)
    for used in (
        model.settle,
        model.prepare,
        model.list_models,
        model.pull,
        lambda: next(model.stream(asked())),
    ):
        with pytest.raises(NotConfigured, match=told) as raised:
            used()
        assert "everything else works without it" in raised.value.message
        assert "\n" not in raised.value.message
    readiness = LocalProvider.readiness(settings, 1)
    assert (readiness.ready, readiness.to_pull) == (False, None)
    assert readiness.text[1:] == raised.value.message[1:]


def test_readiness_says_what_is_there_or_what_could_be_fetched(
    settings: Settings, server: FakeServer
) -> None:
    nothing = LocalProvider.readiness(settings, 1)
    assert not nothing.ready
    assert nothing.to_pull == "SmolLM2-135M-Instruct.Q4_1, 98 MB"
    write_gguf(settings.models_dir / "vectors.gguf", "bert", bert__pooling_type=1)
    assert not LocalProvider.readiness(settings, 1).ready
    write_gguf(settings.models_dir / "a.gguf")
    write_gguf(settings.models_dir / "bb.gguf", general__name="a longer one")
    found = LocalProvider.readiness(settings, 1)
    assert found.ready
    assert found.text == "a and 1 more, inside this program, needs no key"


def test_models_are_listed_from_their_files_without_those_that_only_embed(
    settings: Settings, server: FakeServer, file: Path
) -> None:
    write_gguf(settings.models_dir / "vectors.gguf", "bert", bert__pooling_type=1)
    (settings.models_dir / "lid.176.bin").write_bytes(b"no model of ours")
    (listed,) = local(settings).list_models()
    assert (listed.name, listed.context_window) == (NAME, 4096)
    assert listed.detail == "135M llama Q4_1, 0.0 GB"


def test_texts_become_vectors_in_their_order(settings: Settings, server: FakeServer) -> None:
    write_gguf(settings.models_dir / "vectors.gguf", "bert", bert__pooling_type=1)
    server.embedded = {
        "data": [{"index": 1, "embedding": [3.0, 4.0]}, {"index": 0, "embedding": [1.0, 2.0]}],
        "usage": {"prompt_tokens": 5},
    }
    model = local(settings, "vectors")
    found = model.embed(["a", "b"])
    assert found.vectors == ((1.0, 2.0), (3.0, 4.0))
    assert found.usage.prompt_tokens == 5
    told = "input (6001 tokens) is too large to process. increase the physical batch size"
    server.embedded = {"error": {"type": "server_error", "message": told}}
    with pytest.raises(ContextTooLong, match="A text is too long for vectors: input"):
        model.embed(["a"])
    model.close()


def test_a_model_that_answers_makes_no_vectors_and_the_other_way_round(
    settings: Settings, server: FakeServer, file: Path
) -> None:
    with pytest.raises(BadRequest, match="makes no embeddings; take a file made for them"):
        local(settings).embed(["a"])
    write_gguf(settings.models_dir / "vectors.gguf", "bert", bert__pooling_type=1)
    with pytest.raises(BadRequest, match="makes embeddings and writes no answers"):
        list(local(settings, "vectors").stream(asked()))


def test_no_more_is_asked_at_once_than_it_has_places(settings: Settings) -> None:
    assert limiter_for("local", settings, 50).state().limit == llama.PLACES
    assert limiter_for("local", settings, 2).state().limit == 2
    assert limiter_for("guide", settings, 50).state().limit == 10


def test_a_digest_is_reckoned_again_when_the_file_changes(
    settings: Settings, server: FakeServer, file: Path
) -> None:
    model = local(settings)
    first = model.weights
    assert model.weights == first
    write_gguf(file, general__name="another")
    assert model.weights["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert model.weights != first
    (settings.state_dir / "weights.json").write_text("broken", encoding="utf-8")
    assert model.weights["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_threads_are_the_cores_that_nobody_else_keeps_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama, "physical_cores", lambda: 8)
    for load, threads in ((0.2, 8), (2.8, 5), (50.0, 1)):
        monkeypatch.setattr(os, "getloadavg", lambda load=load: (load, 0.0, 0.0), raising=False)
        assert llama.free_cores() == threads


def test_a_core_counts_once() -> None:
    assert 1 <= llama.physical_cores() <= (os.cpu_count() or 1)
