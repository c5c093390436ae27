"""Requests of httpx over aiohttp's connections, which cost half the processor time of httpx's own.

At every request httpx's pool looks at each of its connections for each other one, and gives the same idle
one to all who come at once, who must then come again: 50 calls that end together took four times the
processor (httpcore 1.0); that of httpx2 asks the system of each idle connection whether it is still there,
at both ends of every call. aiohttp reads HTTP in C, and an idle connection that broke is none.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from llmflowlab.loading import load

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

__all__ = ["own_lines"]

_IDLE = 120.0
"""Seconds that a connection is kept for the next call: a chat's next turn comes after a pause."""
_LONGEST_HEADER = 65_536
"""Bytes of a line of a response's head."""


def own_lines(http: Any, trusting: ssl.SSLContext) -> Any:
    """Return an asynchronous transport of a client of httpx's; it uses no proxy.

    Args:
        http: The package the client is from, httpx or httpx2.
        trusting: What a server's certificate is checked against.
    """
    aiohttp = load("aiohttp")

    class Body(http.AsyncByteStream):  # type: ignore[misc]  # one class for two packages
        def __init__(self, response: ClientResponse, read: WeakSet[ClientResponse]) -> None:
            self._response = response
            self._read = read
            read.add(response)

        async def __aiter__(self) -> AsyncIterator[bytes]:
            content = self._response.content
            with _as_httpx(http, connecting=False):
                while part := await content.readany():
                    yield part

        async def aclose(self) -> None:
            self._read.discard(self._response)
            # What was not read to its end would stand before the next answer.
            if self._response.content.at_eof():
                self._response.release()
            else:
                self._response.close()

    class OwnLines(http.AsyncBaseTransport):  # type: ignore[misc]  # one class for two packages
        def __init__(self) -> None:
            self._session: ClientSession | None = None
            self._read: WeakSet[ClientResponse] = WeakSet()

        async def handle_async_request(self, request: Any) -> Any:
            limits = request.extensions.get("timeout", {})
            timeout = aiohttp.ClientTimeout(
                None, sock_connect=limits.get("connect"), sock_read=limits.get("read")
            )
            with _as_httpx(http, connecting=True):
                response = await self._opened().request(
                    request.method,
                    str(request.url),
                    headers=request.headers.multi_items(),
                    data=await request.aread(),
                    allow_redirects=False,
                    timeout=timeout,
                )
            return http.Response(
                response.status,
                headers=response.raw_headers,
                stream=Body(response, self._read),
                request=request,
            )

        async def aclose(self) -> None:
            # A session that closes wakes nobody who still reads (aiohttp 3.14): he would wait for ever, with
            # nothing that holds him, until Python throws him away in the middle.
            for response in tuple(self._read):
                response.close()
            self._read.clear()
            if self._session is not None:
                await self._session.close()

        def _opened(self) -> ClientSession:
            if self._session is None:
                # Made here: it belongs to the loop it is made on.
                connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE, ssl=trusting)
                made: ClientSession = aiohttp.ClientSession(
                    connector=connector,
                    cookie_jar=aiohttp.DummyCookieJar(),
                    auto_decompress=False,
                    skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
                    max_line_size=_LONGEST_HEADER,
                    max_field_size=_LONGEST_HEADER,
                )
                self._session = made
            return self._session

    return OwnLines()


@contextmanager
def _as_httpx(http: Any, *, connecting: bool) -> Iterator[None]:
    """Raise what goes wrong on the line as httpx would."""
    aiohttp = load("aiohttp")
    try:
        yield
    except aiohttp.SocketTimeoutError as exc:
        raise http.ReadTimeout(str(exc)) from exc
    except (aiohttp.ConnectionTimeoutError, TimeoutError) as exc:
        raise (http.ConnectTimeout if connecting else http.ReadTimeout)(str(exc)) from exc
    except (aiohttp.ClientConnectorError, aiohttp.ClientSSLError) as exc:
        # The system's own error says more of a certificate.
        raise http.ConnectError(str(exc)) from exc.__cause__ or exc
    except aiohttp.InvalidURL as exc:
        raise http.UnsupportedProtocol(str(exc)) from exc
    except OSError as exc:
        raise http.ReadError(str(exc)) from exc
    except (aiohttp.ClientError, aiohttp.http_exceptions.HttpProcessingError) as exc:
        raise http.RemoteProtocolError(str(exc)) from exc
