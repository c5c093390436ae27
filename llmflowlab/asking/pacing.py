"""How fast one model of one provider may be asked: concurrency and pace that adapt to refusals.

`Pacer` is the policy, a plain state machine over times handed in; `Limiter` makes threads and
coroutines wait for it. Concurrency starts low and grows by two with every success, so that it
triples where TCP's slow start doubles: the calls are long and few, and a refusal costs little. A
first refusal that names no wait sets the pace to what the provider just accepted; from there the
pace is tried upwards now and then, and a higher one is kept only where more was really accepted
(the idea of BBR, Cardwell et al. 2016, acmqueue 14(5)). So a limit of five a second is found and
held, while a gateway that fails one request in ten, however slow they come, is not waited for.
"""

from __future__ import annotations

import math
import time
from collections import deque
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from llmflowlab.asking.waiting import THREADS, Changes, Stop, Waits, run
from llmflowlab.errors import InputError, Overloaded, ProviderError, RateLimited
from llmflowlab.providers.factory import PROVIDERS, provider_class
from llmflowlab.settings import Settings

__all__ = ["Gate", "Limiter", "Pacer", "PacerState", "ProviderLimits", "limiter_for", "limits_of"]

_STARTED: ContextVar[float] = ContextVar("started")
"""When the try under way in this thread or task was let in; a call has one at a time."""


class Gate(Protocol):
    """What `call` asks before and tells after each try."""

    def enter(self, stop: Stop) -> bool:
        """Wait in this thread for leave to send; False where `stop` was set instead."""

    def leave(self, error: ProviderError | None, tokens: int | None) -> None:
        """Report how the try ended; `tokens` is what it used, where known."""


@dataclass(frozen=True, slots=True)
class PacerState:
    """What a live view shows of a limiter."""

    limit: int
    in_flight: int
    per_second: float | None
    """Pace in force; None while only concurrency limits."""
    paused_for: float
    """Seconds until the provider may be asked again."""
    refusals: int


class Pacer:
    """The policy; times are seconds of any monotonic clock.

    Args:
        max_concurrency: Never more in flight than this.
        requests_per_minute: A limit known beforehand.
        tokens_per_minute: Likewise for tokens, counted after the fact.
        start: Concurrency to begin with.
    """

    WINDOW = 1.0
    """Seconds over which accepted requests are counted, and after which the pace is reconsidered."""
    ENOUGH = 10
    """Outcomes a window needs to say anything, unless it has lasted ten times its length."""
    GROWTH = 2
    """Places that a success adds, up to the most that are allowed."""
    PROBE = 1.25
    """Factor by which a higher pace is tried."""
    CLIMB = 1.5
    """Factor while each try succeeds."""
    FIRST_PROBE = 2.0
    """Seconds from a refusal to the first try of a higher pace; doubled each time it fails."""
    TOO_MANY = 0.2
    """Share of refusals in a window from which the pace is cut to what was accepted."""

    def __init__(
        self,
        max_concurrency: int,
        *,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        start: int = 10,
    ) -> None:
        self.max_concurrency = max_concurrency
        self.limit = float(min(start, max_concurrency))
        self.in_flight = 0
        self.rate: float | None = None
        self.refusals = 0
        self._configured = None if requests_per_minute is None else requests_per_minute / 60
        self._tokens_per_minute = tokens_per_minute
        self._tokens: deque[tuple[float, int]] = deque()
        self._next_start = -math.inf
        self._paused_until = -math.inf
        self._starts: deque[float] = deque()
        """Starts of the last window that were not refused (yet)."""
        self._window = _Window(-math.inf)
        self._held = 0.0
        """The pace that is known to be accepted."""
        self._probing = False
        self._probe_at = math.inf
        self._probe_wait = self.FIRST_PROBE

    def ready_at(self, now: float) -> float:
        """Return when the next request may start; infinity while all places are taken."""
        if self.in_flight >= max(1, int(self.limit)):
            return math.inf
        return max(now, self._next_start, self._paused_until, self._tokens_ready(now))

    def started(self, now: float) -> None:
        self.in_flight += 1
        self._starts.append(now)
        while self._starts[0] <= now - self.WINDOW:
            self._starts.popleft()
        self._reconsider(now)
        rates = [rate for rate in (self.rate, self._configured) if rate is not None]
        if rates:
            self._next_start = max(now, self._next_start) + 1 / min(rates)

    def succeeded(self, now: float, tokens: int | None = None) -> None:
        self.in_flight -= 1
        self._window.accepted += 1
        if tokens and self._tokens_per_minute:
            self._tokens.append((now, tokens))
        self.limit = min(self.limit + self.GROWTH, float(self.max_concurrency))

    def ended(self) -> None:
        """Note a request that ended without telling anything about the pace."""
        self.in_flight -= 1

    def refused(self, now: float, started: float, retry_after: float | None) -> None:
        """Note a refusal, of a request sent at `started`, and the wait it named."""
        self.in_flight -= 1
        self.refusals += 1
        self._window.refused += 1
        if started in self._starts:
            self._starts.remove(started)
        if retry_after is not None:
            self._paused_until = max(self._paused_until, now + retry_after)
        if self.rate is None or started < self._window.began:
            accepted = sum(1 for at in self._starts if started - self.WINDOW < at <= started)
            # Later refusals of the same burst tell that even fewer of it were accepted.
            self._hold(now, min(self.rate or math.inf, max(accepted, 1) / self.WINDOW))
            # The provider's own window must pass before the new pace can hold.
            self._next_start = max(self._next_start, started + self.WINDOW)

    def _hold(self, now: float, rate: float) -> None:
        self.rate = self._held = rate
        self._probing = False
        self._probe_at = now + self._probe_wait
        self._window = _Window(now)

    def _reconsider(self, now: float) -> None:
        window = self._window
        seconds = now - window.began
        few = window.outcomes < self.ENOUGH and seconds < 10 * self.WINDOW
        if self.rate is None or seconds < self.WINDOW or few:
            return
        accepted = window.accepted / seconds
        if self._probing and accepted > self._held * 1.05:
            self._held = max(self._held, accepted)
            self.rate *= self.CLIMB
        elif self._probing:
            self._probe_wait *= 2
            self._hold(now, self._held)
        elif window.refused > window.outcomes * self.TOO_MANY:
            self._hold(now, max(accepted, 1 / self.WINDOW))
        elif now >= self._probe_at:
            self._probing = True
            self.rate = self._held * self.PROBE
        elif window.refused:
            self.rate = max(self.rate * 0.97, self._held * 0.8)
        self._window = _Window(now)

    def _tokens_ready(self, now: float) -> float:
        if self._tokens_per_minute is None:
            return now
        while self._tokens and self._tokens[0][0] <= now - 60:
            self._tokens.popleft()
        used = sum(tokens for _, tokens in self._tokens)
        ready = now
        for at, tokens in self._tokens:
            if used < self._tokens_per_minute:
                break
            used -= tokens
            ready = max(ready, at + 60)
        return ready

    def pause(self, until: float) -> None:
        """Let nothing start before a moment that the provider named."""
        self._paused_until = max(self._paused_until, until)

    def state(self, now: float) -> PacerState:
        return PacerState(
            limit=max(1, int(self.limit)),
            in_flight=self.in_flight,
            per_second=self.rate,
            paused_for=max(0.0, self._paused_until - now),
            refusals=self.refusals,
        )


@dataclass(slots=True)
class _Window:
    """What came back since the pace was last considered."""

    began: float
    accepted: int = 0
    refused: int = 0

    @property
    def outcomes(self) -> int:
        return self.accepted + self.refused


class Limiter:
    """Makes callers wait for a `Pacer`; one for each model of a provider, shared by all its callers."""

    def __init__(self, pacer: Pacer) -> None:
        self._pacer = pacer
        self._changed = Changes()

    def enter(self, stop: Stop) -> bool:
        """Wait in this thread for leave to send, as `entering` does."""
        return run(self.entering(THREADS, stop))

    async def entering(self, waits: Waits, stop: Stop) -> bool:
        """Wait for leave to send; False where `stop` was set instead."""
        return await waits.until(self._changed, partial(self._look, stop))

    def _look(self, stop: Stop) -> bool | float:
        if stop.is_set():
            return False
        now = time.monotonic()
        ready = self._pacer.ready_at(now)
        if ready > now:
            return ready - now
        self._pacer.started(now)
        _STARTED.set(now)
        return True

    def leave(self, error: ProviderError | None, tokens: int | None = None) -> None:
        """Report how the try that entered last in this thread or task has ended."""
        with self._changed:
            now = time.monotonic()
            if error is None:
                self._pacer.succeeded(now, tokens)
            elif isinstance(error, RateLimited | Overloaded) and _about_pace(error):
                self._pacer.refused(now, _STARTED.get(), error.retry_after)
            else:
                self._pacer.ended()
            self._changed.notify()

    def pause(self, seconds: float) -> None:
        """Send nothing for so long: the provider's headers say that its limit is used up."""
        with self._changed:
            self._pacer.pause(time.monotonic() + seconds)

    def set_concurrency(self, value: int) -> None:
        """Change the ceiling while calls are in flight."""
        with self._changed:
            self._pacer.max_concurrency = value
            self._pacer.limit = min(self._pacer.limit, float(value))
            self._changed.notify_all()

    def state(self) -> PacerState:
        with self._changed:
            return self._pacer.state(time.monotonic())


def limiter_for(provider: str, settings: Settings, concurrency: int) -> Limiter:
    """Return a limiter that knows what the person configured for a provider, and what that can do.

    `LLMFLOWLAB_<PROVIDER>_RPM` and `LLMFLOWLAB_<PROVIDER>_TPM`: requests and tokens a minute.

    Raises:
        InputError: One of them is no number above 0.
    """
    limits = limits_of(provider, settings)
    return Limiter(
        Pacer(
            concurrency if limits.at_once is None else min(concurrency, limits.at_once),
            requests_per_minute=limits.requests_per_minute,
            tokens_per_minute=limits.tokens_per_minute,
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderLimits:
    """What is known beforehand of how fast a provider may be asked; None limits nothing."""

    at_once: int | None
    requests_per_minute: float | None
    tokens_per_minute: float | None


def limits_of(provider: str, settings: Settings) -> ProviderLimits:
    """Return what the person configured for a provider, and what that can do.

    Raises:
        InputError: As `limiter_for`.
    """
    name = provider.upper()
    return ProviderLimits(
        at_once=provider_class(provider).most_at_once if provider in PROVIDERS else None,
        requests_per_minute=_per_minute(settings, f"LLMFLOWLAB_{name}_RPM"),
        tokens_per_minute=_per_minute(settings, f"LLMFLOWLAB_{name}_TPM"),
    )


def _per_minute(settings: Settings, variable: str) -> float | None:
    text = settings.get(variable)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < math.inf:
        raise InputError(f"{variable} is {text!r}; set it to a number a minute above 0.")
    return value


def _about_pace(error: RateLimited | Overloaded) -> bool:
    """Tell whether a failure says "slower": any 429, and a 503 that names a wait."""
    return isinstance(error, RateLimited) or error.retry_after is not None
