"""POST requests to one address over a client's own lines, without what the client looks at for each of them.

Cookies, authentication, proxies, redirects and the merging of headers cost httpx more than the request's way
to the line; here all of them are known beforehand. Its hooks see every request and response all the same.
"""

from __future__ import annotations

from typing import Any

__all__ = ["DirectPost", "direct_post"]


def direct_post(http: Any, client: Any, lines: Any, url: str, headers: Any) -> DirectPost | None:
    """Return what sends to an address; None where that is the client's.

    Args:
        http: The package the client is from, httpx or httpx2.
        client: An asynchronous client.
        lines: Its transport, as `own_lines` makes it; None where it uses a proxy.
        url: The whole address.
        headers: What says who asks.
    """
    try:
        first = client.build_request("POST", url, headers=headers)
    except Exception:  # noqa: BLE001 - said where the first request is sent, as what became of it
        return None
    # A name and password in an address are the client's to read.
    return None if lines is None or first.url.userinfo else DirectPost(http, client, lines, first)


class DirectPost:
    """Use `direct_post`.

    Args:
        http: As there.
        client: As there.
        lines: As there.
        first: A request as the client would make it, with an empty body.
    """

    def __init__(self, http: Any, client: Any, lines: Any, first: Any) -> None:
        self.lines = lines
        self._request = http.Request
        self._url = first.url
        self._extensions = first.extensions
        self._headers = [
            *((key, value) for key, value in first.headers.raw if key.lower() != b"content-length"),
            (b"Content-Type", b"application/json"),
        ]
        hooks = client.event_hooks
        self._before, self._after = hooks["request"], hooks["response"]

    async def send(self, content: bytes) -> Any | None:
        """Return the response, of which nothing was read; None where the server sends the request on."""
        request = self._request(
            "POST",
            self._url,
            headers=[*self._headers, (b"Content-Length", str(len(content)).encode())],
            content=content,
            extensions=self._extensions,
        )
        for hook in self._before:
            await hook(request)
        response = await self.lines.handle_async_request(request)
        try:
            for hook in self._after:
                await hook(response)
            if not response.has_redirect_location:
                return response
        except BaseException:
            await response.aclose()
            raise
        await response.aclose()
        return None
