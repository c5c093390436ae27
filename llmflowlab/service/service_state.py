"""The parts of one worker of the service."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from llmflowlab.service.http_refusals import HttpRefusal
from llmflowlab.service.measures import Measures
from llmflowlab.service.offers import Offer
from llmflowlab.service.service_limits import ServiceLimits, Slots, WrongKeys
from llmflowlab.service.store.allowances import keep_pace
from llmflowlab.service.store.desk import Desk
from llmflowlab.service.store.issued_keys import IssuedKey, hashed, keys_made

if TYPE_CHECKING:
    from starlette.types import Receive

    from llmflowlab.lab.lab import Lab
    from llmflowlab.service.scoring.online_scorers import OnlineScoring

__all__ = ["Caller", "ServiceState"]

_KEYS_FOR = 1.0
"""Seconds after which keys are looked up again: so long a revoked one may still be used."""


class Caller:
    """Who asks."""

    __slots__ = ("owner", "per_minute", "receive")

    def __init__(self, owner: str, per_minute: int | None) -> None:
        self.owner = owner
        self.per_minute = per_minute
        self.receive: Receive | None = None
        """Tells, when the body has come, that the client left."""


class ServiceState:
    """What requests share.

    Args:
        lab: The parts of the lab.
        desk: Works on the database.
        offers: The models, the default first.
        limits: What holds.
        registry: Where it is measured.
        measured_in: The folder in which the measures of several workers come together; None for one.
        open_without_keys: Whether a service that has no key may be asked; on loopback alone.
        scoring: How answers are scored in the background; None: not at all.
    """

    def __init__(
        self,
        lab: Lab,
        desk: Desk,
        offers: Sequence[Offer],
        limits: ServiceLimits,
        registry: CollectorRegistry,
        *,
        measured_in: str | None,
        open_without_keys: bool,
        scoring: OnlineScoring | None = None,
    ) -> None:
        self.lab = lab
        self.desk = desk
        self.offers = {offer.name: offer for offer in offers}
        self.limits = limits
        self.registry = registry
        self.measures = Measures(registry)
        self.measured_in = measured_in
        self.scoring = scoring
        self.started = int(time.time())
        self.slots = Slots(limits.concurrent, limits.queue)
        self.wrong_keys = WrongKeys()
        self.open: dict[asyncio.Task[None], Callable[[], None]] = {}
        """Answers being made, and what gives each up."""
        self.log = logging.getLogger("llmflowlab.service")
        self.draining = False
        self._open_without_keys = open_without_keys
        self._keys: dict[str, IssuedKey] = {}
        self._any_key = False
        self._looked: float | None = None

    @property
    def default(self) -> Offer:
        return next(iter(self.offers.values()))

    def offer(self, name: str | None) -> Offer:
        """Return the model that a request names.

        Raises:
            HttpRefusal: There is none of that name.
        """
        if name is None:
            return self.default
        found = self.offers.get(name)
        if found is None:
            raise HttpRefusal(
                "model_not_found",
                f"This service has no model {name[:200]!r}; GET /v1/models lists those it has.",
                param="model",
            )
        return found

    def end(self) -> None:
        """Let nobody in any more, and give up what is not answered in time; a second time nothing happens."""
        if not self.draining:
            self.draining = True
            self.slots.close()
            asyncio.get_running_loop().call_later(self.limits.drain, self.give_up)

    def give_up(self) -> None:
        """Give up all answers under way; what came of them is kept."""
        for leave in list(self.open.values()):
            leave()

    async def caller(self, authorization: str | None, address: str) -> Caller:
        """Return who asks.

        Raises:
            HttpRefusal: No key that holds came, where one is needed.
        """
        await self._look_at_keys()
        if not self._any_key and self._open_without_keys:
            return Caller("", None)
        scheme, _, secret = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise HttpRefusal(
                "missing_key", "Send a key of this service: Authorization: Bearer KEY."
            )
        key = self._keys.get(hashed(secret.strip()))
        if key is None:
            self.wrong_keys.note(address)
            raise HttpRefusal("invalid_key", "There is no such key, or it was revoked.")
        return Caller(key.id, key.per_minute or self.limits.per_minute)

    async def pace(self, caller: Caller) -> None:
        """Count a request against its key.

        Raises:
            HttpRefusal: The key asks too often.
        """
        per_minute = caller.per_minute
        if not caller.owner or per_minute is None:
            return
        owner, now = caller.owner, time.time()
        late = await self.desk.do(lambda connection: keep_pace(connection, owner, per_minute, now))
        if late is not None:
            raise HttpRefusal(
                "rate_limited",
                f"This key may ask {per_minute} times a minute; wait a moment.",
                retry_after=late,
            )

    async def _look_at_keys(self) -> None:
        now = time.monotonic()
        if self._looked is not None and now - self._looked < _KEYS_FOR:
            return
        # Noted first: those who come meanwhile need not look as well, unless nobody ever did.
        before, self._looked = self._looked, now if self._looked is not None else None
        try:
            made = await self.desk.do(keys_made)
        except Exception:
            self._looked = before
            raise
        self._looked = now
        rows = {}
        for key, hash_ in made:
            if key.revoked_ms is None:
                rows[hash_] = key
        self._keys, self._any_key = rows, bool(made)
