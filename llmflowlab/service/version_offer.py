"""A registered version on offer: asked through its own server, whatever its alias means by then."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from llmflowlab.candidate import Candidate
from llmflowlab.lab.lab import Lab
from llmflowlab.messages import Message, Parameters, Request
from llmflowlab.service.offers import Offer
from llmflowlab.serving.served_model import kind_of
from llmflowlab.serving.server import VersionFollower
from llmflowlab.serving.version_provider import VersionProvider
from llmflowlab.tracking.registry import model_config_of

__all__ = ["VersionOffer"]


class VersionOffer(Offer):
    """What a version's server answers; prompt, parameters and guardrails are the version's own.

    Args:
        lab: The parts.
        follower: Has the server.
        start: Names this start of the service.

    Raises:
        TrackingError: The store does not tell what the version is.
    """

    def __init__(self, lab: Lab, follower: VersionFollower, *, start: str) -> None:
        self._server = follower.current
        version = self._server.version
        known = model_config_of(lab.store(), version)
        kind, streams = kind_of(known["task"], streamable=known["streams"])
        provider = VersionProvider(
            self._server, lab.settings, kind, streams=streams, config=known["config"]
        )
        words = f"{start} {version.reference}"
        super().__init__(
            lab,
            name=str(follower.wanted),
            provider=provider,
            candidate=Candidate(
                model=f"mlflow:{version.reference}",
                display_name=provider.display_name,
                supplier=provider.supplier,
            ),
            deployment=hashlib.sha256(words.encode()).hexdigest()[:32],
        )
        provider.prepare()

    def now(self, offers: Mapping[str, Offer]) -> Offer:
        """Return whom the alias means by now: the version puts its own prompt around a request."""
        return offers.get(self.name, self)

    async def retire(self) -> None:
        """Close the line to its server after the last request that is asked by it."""
        try:
            while self._server.active:
                await asyncio.sleep(0.05)
        finally:
            await asyncio.to_thread(self.provider.close)

    @contextmanager
    def used(self) -> Iterator[None]:
        """Keep the version's server as long as it is asked."""
        self._server.active += 1
        try:
            yield
        finally:
            self._server.active -= 1

    def request(
        self,
        messages: Sequence[Message],
        *,
        system: str | None,
        parameters: Parameters,
        custom_inputs: Mapping[str, Any] | None = None,
    ) -> Request:
        """Return what it is sent; the version puts its own prompt around it."""
        return Request(
            messages=tuple(messages),
            system=system,
            parameters=parameters,
            custom_inputs=dict(custom_inputs) if custom_inputs else None,
        )
