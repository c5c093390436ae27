"""Clients of a service, in a process of their own: they ask, look whether the answer is the right one, and time it.

Several addresses take turns, so that whatever else the machine does falls on all of them alike. Prints one
JSON document: for each address `Calls`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from itertools import count, pairwise
from typing import Any, Literal

import aiohttp

from benchmarks.server import SENTENCES, sentence

Kind = Literal["plain", "stream", "long"]

LONG = "word " * 100_000
"""A prompt of about 100,000 tokens."""


@dataclass(slots=True)
class Calls:
    """What became of the calls at one address; times in ms."""

    seconds: float = 0.0
    """That they took altogether, by the clock."""
    answered: int = 0
    wrong: list[str] = field(default_factory=list)
    """What came instead of the right answer."""
    times: list[float] = field(default_factory=list)
    pieces: list[list[float]] = field(default_factory=list)
    """Of streams: when each frame with text came, from the request on; the first ones of each answer."""
    gaps: list[float] = field(default_factory=list)
    """Of streams: between two frames with text."""


class Callers:
    """Ask one address after the other.

    Args:
        chosen: The command line.
    """

    def __init__(self, chosen: argparse.Namespace) -> None:
        self._chosen = chosen
        self._numbers = count(chosen.first)

    async def run(self) -> dict[str, Calls]:
        chosen = self._chosen
        calls = {url: Calls() for url in chosen.urls}
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=300)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            for _ in range(chosen.rounds):
                for url, found in calls.items():
                    began = time.perf_counter()
                    left = iter(range(chosen.requests)) if chosen.requests else count()
                    until = began + chosen.seconds if not chosen.requests else float("inf")

                    async def client(
                        url: str = url, found: Calls = found, left: Any = left, until: float = until
                    ) -> None:
                        while time.perf_counter() < until and next(left, None) is not None:
                            await self._call(session, url, found)

                    await asyncio.gather(*(client() for _ in range(chosen.clients)))
                    found.seconds += time.perf_counter() - began
        return calls

    async def _call(self, session: aiohttp.ClientSession, url: str, found: Calls) -> None:
        number, kind = next(self._numbers), self._chosen.kind
        asked = f"s{number}" if kind == "stream" else f"q{number}"
        content = f"{LONG}\n{asked}" if kind == "long" else asked
        url, _, model = url.partition("#")
        messages = [{"role": "user", "content": content}]
        body: dict[str, Any] = {"model": model or "openai:bench", "messages": messages}
        if kind == "stream":
            body["stream"] = True
        began = time.perf_counter()
        try:
            async with session.post(url + "/chat/completions", json=body) as response:
                if kind == "stream":
                    said, at = await _read(response)
                    wanted = "".join(sentence(number, n) for n in range(SENTENCES))
                else:
                    said, at = await _whole(response), []
                    wanted = f"a{number}"
        except (aiohttp.ClientError, TimeoutError, ValueError, LookupError) as exc:
            said, wanted, at = f"{type(exc).__name__}: {exc}", "", []
        if said != wanted:
            found.wrong.append(said[:300])
            return
        found.answered += 1
        found.times.append((time.perf_counter() - began) * 1000)
        if at:
            found.pieces.append([(one - began) * 1000 for one in at[:5]])
            found.gaps += [(b - a) * 1000 for a, b in pairwise(at)]


async def _whole(response: aiohttp.ClientResponse) -> str:
    body = json.loads(await response.read())
    if response.status != 200:
        return f"{response.status} {body}"
    said: str = body["choices"][0]["message"]["content"]
    return said


async def _read(response: aiohttp.ClientResponse) -> tuple[str, list[float]]:
    """Return the text, and when each frame with text came."""
    text, at, ended = "", [], False
    while line := await response.content.readline():
        if not line.startswith(b"data: {"):
            ended = ended or line.startswith(b"data: [DONE]")
            continue
        choices = json.loads(line[6:]).get("choices")
        if choices and (said := choices[0]["delta"].get("content")):
            text += said
            at.append(time.perf_counter())
    return text if ended else f"without an end: {text[-200:]}", at


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("urls", nargs="+", help="after a # a model of another name")
    parser.add_argument("--kind", choices=("plain", "stream", "long"), default="plain")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each round")
    parser.add_argument("--requests", type=int, default=0, help="of each round, instead of seconds")
    parser.add_argument("--first", type=int, default=0, help="number of the first question")
    calls = asyncio.run(Callers(parser.parse_args()).run())
    json.dump({url: asdict(found) for url, found in calls.items()}, sys.stdout)


if __name__ == "__main__":
    main()
