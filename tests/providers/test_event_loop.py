"""Calls on the one event loop of the process: no thread a call, what is given up is closed at once."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from llmflowlab.asking.calling import CallPolicy, call
from llmflowlab.asking.metering import Metering
from llmflowlab.asking.paid import Asker, Paid
from llmflowlab.asking.waiting import Cancellation
from llmflowlab.errors import TimedOut
from llmflowlab.messages import Message, Request
from llmflowlab.providers.base import Embeddings, Provider, TextDelta
from llmflowlab.providers.event_loop import blocking, started
from llmflowlab.providers.factory import build
from llmflowlab.settings import load_settings
from llmflowlab.text.tokens import TokenCounter
from tests.evaluation.helpers import QUICK
from tests.loopback import Fault, LoopbackServer, WireName
from tests.patience import PATIENCE
from tests.providers.http_of import http_of, lines_of

HELLO = Request(messages=(Message("user", "Say hello"),))
WIRES: tuple[WireName, ...] = ("openai", "azure", "anthropic", "gemini", "ollama")

MANY = 50
ROOT = Path(__file__).parents[2]

Make = Callable[[str], Any]


@pytest.fixture
def make(loopback: LoopbackServer, requests_allowed: None, tmp_path: Path) -> Iterator[Make]:
    with ExitStack() as made:

        def build_one(reference: str) -> Provider:
            environ = loopback.environment()
            settings = load_settings(environ, cwd=tmp_path, stdin_is_terminal=False)
            return made.enter_context(closing(build(reference, settings)))

        yield build_one


@pytest.fixture(params=WIRES)
def provider(request: pytest.FixtureRequest, make: Make) -> Any:
    return make(request.param)


def transport(provider: Any) -> Any:
    """Return what of the HTTP client has its connections."""
    return http_of(provider)._transport


def until_closed(transport: Any) -> None:
    # The server would hold it for ever.
    _until(lambda: not lines_of(transport))


def until_idle(transport: Any) -> None:
    # An answer's last bytes may be read after it was given.
    _until(lambda: not transport._session.connector._acquired)


def _until(true: Callable[[], bool]) -> None:
    async def looked() -> None:
        while not true():
            await asyncio.sleep(0)

    blocking(asyncio.wait_for(looked(), PATIENCE))


def asking(provider: Provider, policy: CallPolicy = QUICK) -> Asker:
    return Asker(provider, policy=policy, metering=Metering(TokenCounter()))


def asked_at_once(provider: Provider, count: int) -> list[Paid]:
    """Have one model answer many questions on one loop, with a single thread for what blocks."""

    async def all_of_them() -> list[Paid]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        asker = asking(provider)
        return await asyncio.gather(*(asker.ask(HELLO) for _ in range(count)))

    return asyncio.run(all_of_them())


@contextmanager
def served_by_mlflow(before: Callable[[], None]) -> Iterator[str]:
    class Invocations(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            before()
            said = {"message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}
            body = json.dumps({"choices": [said]}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 256

    with Server(("127.0.0.1", 0), Invocations) as running:
        Thread(target=running.serve_forever, name="loopback", daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


class Threads:
    """Lets a server answer once so many ask, and looks at the threads of that moment.

    The server's own, which answer, are not among those that are found.
    """

    def __init__(self, count: int) -> None:
        self._before = set(threading.enumerate())
        self._server: set[threading.Thread] = set()
        self._together = threading.Barrier(count, action=self._look)
        self.found: set[str] = set()

    def wait(self) -> None:
        self._server.add(threading.current_thread())
        self._together.wait(PATIENCE)

    def _look(self) -> None:
        new = set(threading.enumerate()) - self._before - self._server
        self.found = {thread.name for thread in new if thread.name != "loopback"}


def test_what_is_done_on_the_loop_comes_back_with_its_value_or_its_error() -> None:
    async def double(value: int) -> int:
        if value < 0:
            raise ValueError("negative")
        return 2 * value

    assert blocking(double(21)) == 42
    with pytest.raises(ValueError, match="negative"):
        blocking(double(-1))
    with pytest.raises(TimeoutError):
        blocking(asyncio.wait_for(asyncio.Event().wait(), 0))


def texts(answers: list[Paid]) -> list[str | None]:
    return [paid.answer.text if paid.answer else None for paid in answers]


def test_many_calls_at_once_need_no_threads_of_their_own(
    provider: Any, loopback: LoopbackServer
) -> None:
    # What an SDK finds out once, and in threads, is not asked for again.
    assert call(provider, HELLO, policy=QUICK).text
    threads = Threads(MANY)

    def answer(question: str) -> str:
        threads.wait()
        return "hello"

    loopback.scenario.answer = answer
    assert texts(asked_at_once(provider, MANY)) == ["hello"] * MANY
    assert len(threads.found) <= 1
    until_idle(transport(provider))
    loopback.scenario.answer = lambda question: "again"
    assert texts(asked_at_once(provider, MANY)) == ["again"] * MANY
    # Those who come after take the connections of those before.
    assert len(lines_of(transport(provider))) <= MANY


def test_many_calls_of_an_mlflow_server_need_none_either(make: Make) -> None:
    assert blocking(asyncio.sleep(0, result=True))
    threads = Threads(MANY)
    with served_by_mlflow(threads.wait) as address:
        answers = asked_at_once(make(f"mlflow:{address}#a/1"), MANY)
    assert texts(answers) == ["hello"] * MANY
    assert len(threads.found) <= 1


@pytest.mark.parametrize("reference", ["openai:text-embedding-3-small", "ollama:llama3.2"])
def test_embeddings_are_had_on_the_loop(
    reference: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, threads = make(reference), []
    embed = provider.aembed

    async def seen(texts: Sequence[str]) -> Embeddings:
        threads.append(threading.current_thread().name)
        found: Embeddings = await embed(texts)
        return found

    monkeypatch.setattr(provider, "aembed", seen)
    assert len(asking(provider).embed_blocking(["a", "b"]).vectors or ()) == 2
    assert len(provider.embed(["a", "b"]).vectors) == 2
    assert threads == ["calls", "calls"]


def test_a_call_that_is_given_up_closes_its_connection_at_once(
    provider: Any, loopback: LoopbackServer
) -> None:
    loopback.fail(Fault("hang", after=1))
    cancelled = Cancellation()

    def on_event(event: object) -> None:
        if isinstance(event, TextDelta):
            assert len(lines_of(transport(provider))) == 1
            cancelled.set()

    assert call(provider, HELLO, policy=QUICK, on_event=on_event, cancelled=cancelled).text
    until_closed(transport(provider))


def test_a_call_that_is_late_closes_its_connection(provider: Any, loopback: LoopbackServer) -> None:
    loopback.fail("hang")
    with pytest.raises(TimedOut):
        call(provider, HELLO, policy=CallPolicy(max_tries=1, first_token_timeout=0.2))
    until_closed(transport(provider))


def test_a_connection_whose_answer_ended_is_used_again(provider: Any) -> None:
    for _ in range(3):
        assert call(provider, HELLO, policy=QUICK).state == "complete"
        # An answer has ended for its reader a moment before its connection is given back.
        _until(lambda: not transport(provider)._session.connector._acquired)
    assert len(lines_of(transport(provider))) == 1


@pytest.mark.parametrize("reference", WIRES)
def test_a_provider_that_nobody_has_any_more_closes_its_connections(
    reference: str, loopback: LoopbackServer, requests_allowed: None, tmp_path: Path
) -> None:
    settings = load_settings(loopback.environment(), cwd=tmp_path, stdin_is_terminal=False)
    provider = build(reference, settings)
    assert call(provider, HELLO, policy=QUICK).state == "complete"
    kept = transport(provider)
    assert len(lines_of(kept)) == 1
    del provider
    gc.collect()
    until_closed(kept)


@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
def test_a_forked_process_gets_a_loop_of_its_own() -> None:
    async def answer() -> int:
        return 7

    assert blocking(answer()) == 7
    if (child := os.fork()) == 0:
        os._exit(started(answer()).result(PATIENCE))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_provider_that_is_let_go_of_on_the_loop_does_not_wait_for_it(provider: Any) -> None:
    # Python collected an agent's providers in the middle of another call: the loop waited for itself.
    list(provider.stream(HELLO))

    async def collected() -> None:
        provider.close()

    started(collected()).result(PATIENCE)
    until_closed(transport(provider))


def test_who_waits_for_the_loop_on_the_loop_is_told_and_not_left_hanging() -> None:
    async def waiting() -> None:
        blocking(asyncio.Event().wait())

    with pytest.raises(RuntimeError, match="cannot wait for itself"):
        started(waiting()).result(PATIENCE)


LEFT_READING = """
import asyncio, threading

from llmflowlab.asking.calling import CallPolicy, call
from llmflowlab.messages import Message, Request
from llmflowlab.providers.base import Finished, TextDelta
from llmflowlab.providers.event_loop import OnLoop
from llmflowlab.providers.scripted import ScriptedProvider


class Unclosed(ScriptedProvider, OnLoop):
    def prepare(self):
        pass

    def _make_client(self):
        raise AssertionError

    async def astream(self, request):
        try:
            yield TextDelta("hello")
            yield Finished("stop", None)
            reading.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            print("closed")


reading = threading.Event()
hello = Request(messages=(Message("user", "Say hello"),))
print(call(Unclosed(), hello, policy=CallPolicy(max_tries=1)).text)
reading.wait()
"""


def test_a_program_that_ends_while_a_connection_is_still_read_ends_without_a_word() -> None:
    # MLflow's gateway under load: "Task was destroyed but it is pending!" on the person's screen.
    done = subprocess.run(
        [sys.executable, "-c", LEFT_READING], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert (done.stdout, done.stderr) == ("hello\nclosed\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
def test_a_child_of_such_a_program_does_not_wait_for_its_parents_loop() -> None:
    child = """
if (child := os.fork()) == 0:
    event_loop._ENDING = 1e9
    sys.exit()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    code = f"import os, sys\nfrom llmflowlab.providers import event_loop\n{LEFT_READING}{child}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("closed\n")
