"""`chat/completions` over HTTP alone: a request goes out, and its stream is read as it comes.

The SDK takes half a second to import, and a call of it twice the processor time of its HTTP client's; what
it adds here is a path, two headers and the reading of server-sent events.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from llmflowlab.providers.base import Provider
from llmflowlab.providers.openai.direct_post import DirectPost
from llmflowlab.providers.reading import Reading
from llmflowlab.providers.refused_requests import (
    Advice,
    Refusal,
    error_from_refusal,
    words_of,
)
from llmflowlab.providers.transport import failure
from llmflowlab.providers.vendor_errors import unreachable_at

__all__ = ["ChatLine", "ChatReply", "Refused", "line_errors", "refusal_from"]

_WRITTEN = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
"""As httpx writes JSON."""
_UNSAID = "An error occurred during streaming"


class Refused(Exception):
    """The server answered with an error, in place of a stream or inside one."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class ChatLine:
    """Where chat completions are sent, and with what.

    Attributes:
        http: An asynchronous client of httpx2.
        url: The whole address of `chat/completions`.
        headers: What says who asks.
        direct: Sends there at less cost, where it can.
    """

    http: Any
    url: str
    headers: Mapping[str, str]
    direct: DirectPost | None = None

    async def send(self, body: Mapping[str, Any]) -> ChatReply:
        """Send a request; returns as soon as the answer's head is there.

        Raises:
            Refused: The server answers with anything but success.
        """
        response = await self._sent(body)
        if response.is_success:
            # Some servers answer whole whatever they are asked for.
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            whole = not body.get("stream") or kind == "application/json"
            return ChatReply(response, streamed=not whole)
        try:
            await response.aread()
        finally:
            await response.aclose()
        said: Any = response.text.strip()
        # What is no JSON is a gateway's page.
        with suppress(ValueError, RecursionError):
            said = json.loads(said)
        inner = said.get("error", said) if isinstance(said, Mapping) else said
        raise Refused(refusal_from(inner, status=response.status_code, headers=response.headers))

    async def _sent(self, body: Mapping[str, Any]) -> Any:
        if self.direct is not None:
            response = await self.direct.send(_WRITTEN(body).encode())
            if response is not None:
                return response
        request = self.http.build_request("POST", self.url, json=body, headers=self.headers)
        return await self.http.send(request, stream=True)

    async def close(self) -> None:
        await self.http.aclose()


class ChatReply:
    """An answer's chunks as JSON values; one chunk where it was not streamed. A context manager."""

    def __init__(self, response: Any, *, streamed: bool) -> None:
        self.response = response
        self._streamed = streamed

    async def __aenter__(self) -> ChatReply:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.response.aclose()

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Yield chunk after chunk.

        Raises:
            Refused: An error came inside the stream.
            ValueError: What came is no JSON.
        """
        if not self._streamed:
            yield json.loads(await self.response.aread())
            return
        events = _Events()
        async for part in self.response.aiter_bytes():
            for data in events.take(part):
                if data.startswith("[DONE]"):
                    return
                chunk = json.loads(data)
                if isinstance(chunk, dict) and chunk.get("error"):
                    raise Refused(refusal_from(chunk["error"]))
                yield chunk


class _Events:
    """Takes server-sent events apart (HTML standard, 9.2.6), of which only the data is wanted here."""

    def __init__(self) -> None:
        self._held = b""
        """A carriage return at the end of a part, which may be half of a line's end."""
        self._line: list[bytes] = []
        """Pieces of the line that has not ended."""
        self._data: list[bytes] = []

    def take(self, part: bytes) -> list[str]:
        """Return the data of the events that end in this part."""
        part = self._held + part
        self._held = b"\r" if part.endswith(b"\r") else b""
        part = part.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        first, *more = part.split(b"\n")
        self._line.append(first)
        found = []
        for following in more:
            if (data := self._ended(b"".join(self._line))) is not None:
                found.append(data)
            self._line = [following]
        return found

    def _ended(self, line: bytes) -> str | None:
        if not line:
            data, self._data = b"\n".join(self._data), []
            return data.decode() if data else None
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
        return None


@contextmanager
def line_errors(
    provider: Provider, address: str, advice: Advice, reading: Reading
) -> Iterator[None]:
    """Turn what sending and reading can raise into our errors.

    Raises:
        ProviderError: The failure, mapped.
    """
    try:
        yield
    except Refused as exc:
        raise error_from_refusal(exc.refusal, provider, advice) from exc
    except Exception as exc:
        unreachable = unreachable_at(provider, address, advice)
        mapped = failure(exc, provider=provider, begun=reading.begun, unreachable=unreachable)
        if mapped is None:
            raise
        raise mapped from exc


def refusal_from(
    said: object, *, status: int | None = None, headers: Mapping[str, str] | None = None
) -> Refusal:
    """Read an error of OpenAI's form, or of those that servers like it write.

    Args:
        said: The error itself: an object, or a text where the server wrote no JSON.
        status: The HTTP status; None for an error inside a stream.
        headers: Of the response.
    """
    body: Mapping[str, Any] = said if isinstance(said, Mapping) else {}
    inner = body.get("innererror")
    code, kind = body.get("code"), body.get("type")
    codes = {str(each) for each in (code, kind) if each}
    if isinstance(inner, Mapping) and inner.get("code"):
        codes.add(str(inner["code"]))
    text = words_of(said)
    if not text and status is None:
        text = _UNSAID
    # vLLM and others write the HTTP status as the code of an error inside a stream.
    if status is None and re.fullmatch(r"[45]\d\d", str(code), re.ASCII):
        status = int(str(code))
    param = body.get("param")
    return Refusal(
        status=status,
        codes=frozenset(codes),
        text=text,
        param=param if isinstance(param, str) else None,
        headers={} if headers is None else headers,
        readable=bool(text) and not text.lstrip().startswith("<"),
    )
