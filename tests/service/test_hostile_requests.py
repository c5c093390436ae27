"""What nobody in good faith would send."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from llmflowlab.providers.scripted import ScriptedProvider
from llmflowlab.settings import Settings, load_settings
from tests.service.running import Running, running

LIMIT = 100_000


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("home")
    settings = load_settings({"LLMFLOWLAB_HOME": str(home)}, cwd=home, stdin_is_terminal=False)
    model = ScriptedProvider(default=lambda request: request.messages[-1].content)
    with running(settings, model, limits={"body_bytes": LIMIT}) as found:
        yield found


def post(path: str, body: bytes, *more: str) -> bytes:
    head = (
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        "Connection: close",
        *(more or (f"Content-Length: {len(body)}",)),
    )
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def status(raw: bytes) -> int:
    return int(raw.split()[1])


DEEP = b'{"query":' + b"[" * 20_000 + b"]" * 20_000 + b"}"
BODIES = {
    "nothing": b"",
    "no JSON": b"{query: Hi}",
    "invalid UTF-8": b'{"query": "\xff\xfe"}',
    "deep": DEEP,
    "NaN in a parameter": b'{"query": "Hi", "parameters": {"temperature": NaN}}',
    "infinite": b'{"query": "Hi", "parameters": {"top_p": Infinity}}',
    "huge whole number": b'{"query": "Hi", "parameters": {"seed": ' + b"9" * 5000 + b"}}",
    "half a character as a name": rb'{"query": "Hi", "\ud800": 1}',
    "half a character as a model": rb'{"query": "Hi", "model": "\ud800"}',
    "half a character as a session": rb'{"query": "Hi", "session_id": "\ud800"}',
    "a list": b"[]",
    "a number": b"1e999",
    "blank": b'{"query": " \\n "}',
    "NUL as a session": b'{"query": "Hi", "session_id": "\\u0000"}',
    "a path as a session": b'{"query": "Hi", "session_id": "../../etc"}',
    "half a character in a scorer": rb'{"query": "Hi", "evaluate": {"scorers": ["\udfff"]}}',
}
COMPLETIONS = {
    "NaN": b'{"messages": [{"role": "user", "content": "Hi"}], "temperature": NaN}',
    "half a character as a name": rb'{"messages": [{"role": "user", "content": "x"}], "\ud800": 1}',
    "half a role": rb'{"messages": [{"role": "\ud800", "content": "x"}]}',
    "deep": b'{"messages":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "roles of objects": b'{"messages": [{"role": {}, "content": "x"}]}',
    "a part of no kind": b'{"messages": [{"role": "user", "content": [{"type": {}, "text": "x"}]}]}',
    "tool": b'{"messages": [{"role": "tool", "content": "x"}]}',
    "n of text": b'{"messages": [{"role": "user", "content": "x"}], "n": "1"}',
    "invalid UTF-8": b'{"messages": [{"role": "user", "content": "\xff"}]}',
}


@pytest.mark.parametrize("name", BODIES)
def test_what_cannot_be_understood_is_a_bad_request(service: Running, name: str) -> None:
    before = len(service.turns())
    raw = service.raw(post("/chat", BODIES[name]))
    assert status(raw) in {400, 404}
    error = json.loads(raw.partition(b"\r\n\r\n")[2])["error"]
    assert error["code"] in {"bad_request", "model_not_found"}
    assert len(error["message"]) < 1100
    assert len(service.turns()) == before


@pytest.mark.parametrize("name", COMPLETIONS)
def test_what_cannot_be_understood_is_a_bad_request_in_openais_shape_too(
    service: Running, name: str
) -> None:
    before = len(service.turns())
    raw = service.raw(post("/v1/chat/completions", COMPLETIONS[name]))
    assert status(raw) == 400
    assert json.loads(raw.partition(b"\r\n\r\n")[2])["error"]["code"] in {
        "bad_request",
        "unsupported_parameter",
    }
    assert len(service.turns()) == before


def test_texts_that_no_database_takes_are_mended(service: Running) -> None:
    body = rb'{"query": "a\u0000b\ud83dc\ud83d\ude00", "session_id": "s"}'
    raw = service.raw(post("/chat", body))
    assert json.loads(raw.partition(b"\r\n\r\n")[2])["answer"] == "a\ufffdb\ufffdc\U0001f600"
    raw = service.raw(
        post(
            "/v1/chat/completions", rb'{"messages": [{"role": "user", "content": "\udc00\u0000"}]}'
        )
    )
    assert status(raw) == 200
    assert [turn["prompt"] for turn in service.turns()[-2:]] == [
        "a\ufffdb\ufffdc\U0001f600",
        "\ufffd\ufffd",
    ]


def test_a_body_in_chunks_is_bounded_too(service: Running) -> None:
    piece = b"%x\r\n%s\r\n" % (LIMIT // 2, b" " * (LIMIT // 2))
    raw = service.raw(post("/chat", piece * 3, "Transfer-Encoding: chunked"))
    assert status(raw) == 413
    assert b'"body_too_large"' in raw


def test_a_large_body_is_refused_before_it_came(service: Running) -> None:
    raw = service.raw(post("/chat", b"", "Content-Length: 700000000"))
    assert status(raw) == 413


@pytest.mark.parametrize(
    "more",
    [
        ("Content-Length: 2", "Content-Length: 30"),
        ("Content-Length: 2", "Transfer-Encoding: chunked"),
        ("Content-Length: -1",),
        ("Content-Length: 1e3",),
        ("Content-Length: 2", "X-Huge: " + "x" * 200_000),
        ("Content-Length: 2", "Bad header"),
        ("Content-Length: 2", "Null: \0"),
    ],
)
def test_ambiguous_and_broken_heads_are_no_requests(
    service: Running, more: tuple[str, ...]
) -> None:
    raw = service.raw(post("/health", b"{}", *more))
    assert raw == b"" or 400 <= status(raw) < 500
    assert raw.count(b"HTTP/1.1 ") <= 1
    assert service.client.get("/health").status_code == 200


@pytest.mark.parametrize(
    "hosts",
    [
        ("evil.example",),
        ("localhost.evil.example",),
        ("evil.example:8000",),
        ("localhost@evil.example",),
        ("",),
        ("evil.example", "localhost"),
        ("localhost", "evil.example"),
    ],
)
def test_foreign_hosts_are_refused_on_this_machine(
    service: Running, hosts: tuple[str, ...]
) -> None:
    lines = "".join(f"Host: {host}\r\n" for host in hosts)
    raw = service.raw(f"GET /sessions HTTP/1.1\r\n{lines}Connection: close\r\n\r\n".encode())
    assert status(raw) in {400, 403}


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:80", "LOCALHOST"])
def test_own_hosts_are_taken(service: Running, host: str) -> None:
    assert service.client.get("/health", headers={"Host": host}).status_code == 200


def test_who_claims_to_be_forwarded_is_whom_the_socket_says(settings: Settings) -> None:
    claims = {"X-Forwarded-For": "127.0.0.1", "Host": "evil.example"}
    model = ScriptedProvider(default="Yes.")
    with running(settings, model, loopback=False) as service:
        assert service.client.get("/sessions", headers=claims).status_code == 401
        assert service.client.get("/health", headers=claims).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/../chat", "/sessions/..%2f..%2fetc", "/sessions/%00", "//chat", "/v1/%2e%2e/sessions/x"],
)
def test_paths_lead_nowhere_else(service: Running, path: str) -> None:
    raw = service.raw(
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    )
    assert status(raw) in {400, 404, 405}
    assert b"Traceback" not in raw


def test_requests_one_behind_the_other_are_answered_in_their_order(service: Running) -> None:
    each = [
        post("/chat", json.dumps({"query": f"number {n}"}).encode()).replace(
            b"Connection: close\r\n", b"" if n < 4 else b"Connection: close\r\n"
        )
        for n in range(5)
    ]
    raw = service.raw(b"".join(each))
    places = [raw.index(f'"answer":"number {n}"'.encode()) for n in range(5)]
    assert places == sorted(places)


def test_another_page_may_not_ask(service: Running) -> None:
    before = len(service.turns())
    found = service.client.options(
        "/chat",
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
    )
    assert "access-control-allow-origin" not in found.headers
    # A page's form can send text, which is no JSON to this service.
    body = '{"query": "Hi"}'
    for path in ("/chat", "/feedback", "/v1/chat/completions"):
        sent = service.client.post(path, content=body, headers={"Content-Type": "text/plain"})
        assert sent.status_code == 400
    assert len(service.turns()) == before


def test_pages_that_are_named_may(settings: Settings) -> None:
    mine = "https://mine.example"
    with running(settings, ScriptedProvider(default="Yes."), origins=(mine,)) as service:
        asked = {"Access-Control-Request-Method": "POST"}
        for origin, allowed in ((mine, mine), ("https://evil.example", None)):
            found = service.client.options("/chat", headers={"Origin": origin, **asked})
            assert found.headers.get("access-control-allow-origin") == allowed
