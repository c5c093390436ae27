"""A prompt that Ollama shortens without a word: made room for, found out, and never a false alarm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ollama
import pytest

from llmflowlab.asking.attempt import Answer
from llmflowlab.asking.metering import Metering
from llmflowlab.messages import Message, Parameters, Request
from llmflowlab.providers.base import Finished, Usage
from llmflowlab.providers.ollama.provider import OllamaProvider
from llmflowlab.providers.scripted import ScriptedProvider
from llmflowlab.settings import load_settings
from llmflowlab.text.tokens import TokenCounter
from tests.providers.test_ollama import done, fake


class Server:
    """A fake Ollama that keeps what it is sent and says what its models are made for."""

    def __init__(self, tmp_path: Path, *, made_for: int | None = 131072, **environ: str) -> None:
        self.options: list[Any] = []
        self.shown = 0
        info = {} if made_for is None else {"llama.context_length": made_for}
        self._card = ollama.ShowResponse.model_validate({"model_info": info})
        settings = load_settings(environ, cwd=tmp_path, stdin_is_terminal=False)
        self.provider = OllamaProvider("llama3.2", settings)
        running = ollama.ProcessResponse.model_validate({"models": []})
        fake(self.provider, chat=self._chat, show=self._show, ps=lambda: running)

    def _chat(self, *args: Any, **sent: Any) -> Iterator[ollama.ChatResponse]:
        self.options.append(sent["options"])
        return iter([done(prompt_eval_count=4096)])

    def _show(self, model: str) -> ollama.ShowResponse:
        self.shown += 1
        return self._card

    def ask(self, words: int, max_tokens: int | None = None) -> Finished:
        request = Request(
            messages=(Message("user", "word " * words),),
            parameters=Parameters(max_tokens=max_tokens),
        )
        last = list(self.provider.stream(request))[-1]
        assert isinstance(last, Finished)
        return last


def test_a_prompt_that_needs_more_gets_a_larger_window_that_stays(
    tmp_path: Path, requests_allowed: None
):
    server = Server(tmp_path)
    assert server.ask(10).windows == ()
    assert server.ask(6000).windows == (4096, 16384)
    server.ask(10)
    # The next power of two; asking for the smaller one again would load the model anew.
    assert server.options == [None, {"num_ctx": 16384}, {"num_ctx": 16384}]


def test_room_for_the_answer_is_part_of_the_need(tmp_path: Path, requests_allowed: None):
    server = Server(tmp_path)
    server.ask(10, max_tokens=6000)
    assert server.options == [{"num_predict": 6000, "num_ctx": 8192}]


@pytest.mark.parametrize(
    ("made_for", "environ", "num_ctx"),
    [
        pytest.param(8192, {}, 8192, id="bounded-by-the-model"),
        pytest.param(4096, {}, None, id="no-model-for-it"),
        pytest.param(None, {}, None, id="nobody-knows"),
        pytest.param(131072, {"LLMFLOWLAB_OLLAMA_NUM_CTX": "2048"}, 2048, id="set-by-the-person"),
    ],
)
def test_the_window_is_bounded_by_the_model_and_by_the_person(
    tmp_path: Path,
    requests_allowed: None,
    made_for: int | None,
    environ: dict[str, str],
    num_ctx: int | None,
):
    server = Server(tmp_path, made_for=made_for, **environ)
    server.ask(6000)
    assert (server.options[0] or {}).get("num_ctx") == num_ctx


def test_a_short_prompt_asks_the_server_nothing_more(tmp_path: Path, requests_allowed: None):
    server = Server(tmp_path)
    server.ask(10)
    assert server.shown == 0


@pytest.mark.parametrize(
    ("words", "read", "windows", "cut"),
    [
        # Seen at a real server: 5,907 tokens were sent, 2,050 read.
        pytest.param(5900, 2050, (4096,), True, id="half-a-window"),
        pytest.param(5900, 4096, (4096,), True, id="a-whole-window"),
        pytest.param(5900, 4095, (4096, 16384), True, id="a-window-that-was-not-given"),
        pytest.param(5900, 5907, (4096, 16384), False, id="read-whole"),
        pytest.param(5900, 3500, (4096,), False, id="another-tokenizer"),
        pytest.param(5900, 120, (4096,), False, id="the-rest-was-in-memory"),
        pytest.param(2100, 2050, (4096,), False, id="fits"),
        pytest.param(4200, 4090, (4096,), False, id="nearly-full-by-another-tokenizer"),
        pytest.param(5900, None, (4096,), False, id="not-counted"),
        pytest.param(5900, 2050, (), False, id="no-such-server"),
    ],
)
def test_only_what_such_a_server_leaves_of_a_prompt_counts_as_shortened(
    words: int, read: int | None, windows: tuple[int, ...], cut: bool
):
    request = Request(messages=(Message("user", "word " * words),))
    answer = Answer(text="4", usage=Usage(prompt_tokens=read), windows=windows)
    found = Metering(TokenCounter()).prompt_cut(ScriptedProvider(), request, answer)
    assert found is cut
