"""The pace policy against simulated providers, in virtual time."""

import heapq
import math
import random
import threading
import time

import pytest

from llmflowlab.asking.pacing import Limiter, Pacer, limiter_for
from llmflowlab.errors import InputError, RateLimited
from llmflowlab.settings import load_settings


def simulate(pacer, rows, accepts, latency=0.2):
    """Run `rows` requests through a pacer; returns the virtual seconds it took and the refusals."""
    now, waiting, done, refusals = 0.0, rows, 0, 0
    ends: list[tuple[float, float, bool, float | None]] = []
    while done < rows:
        while waiting and pacer.ready_at(now) <= now:
            pacer.started(now)
            waiting -= 1
            accepted, retry_after = accepts(now)
            took = latency if accepted else 0.01
            heapq.heappush(ends, (now + took, now, accepted, retry_after or 0.0))
        ready = pacer.ready_at(now) if waiting else math.inf
        now = max(now, min(ends[0][0] if ends else math.inf, ready))
        assert now < 1e6, "stuck"
        while ends and ends[0][0] <= now:
            _, started, accepted, retry_after = heapq.heappop(ends)
            if accepted:
                pacer.succeeded(now)
                done += 1
            else:
                pacer.refused(now, started, retry_after or None)
                refusals += 1
                waiting += 1
    return now, refusals


def sliding_window(limit, retry_after=None):
    taken: list[float] = []

    def accepts(now):
        if sum(1 for at in taken if at > now - 1) < limit:
            taken.append(now)
            return True, None
        return False, retry_after

    return accepts


@pytest.mark.parametrize("concurrency", [8, 10, 50])
def test_five_a_second_is_found_within_a_third_of_the_ideal(concurrency):
    seconds, refusals = simulate(Pacer(concurrency), 100, sliding_window(5))
    assert seconds <= 1.3 * 20
    assert refusals <= 20


def test_a_provider_that_refuses_nothing_is_used_to_the_full():
    seconds, refusals = simulate(Pacer(50), 500, lambda now: (True, None))
    assert refusals == 0
    assert seconds <= 1.3 * 500 / 50 * 0.2


def test_refusals_at_random_do_not_starve_the_pace():
    # Pins a first version that slowed down at each refusal: 5,000 rows took over an hour.
    rng = random.Random(3)
    seconds, _ = simulate(Pacer(50), 5000, lambda now: (rng.random() > 0.1, None))
    assert seconds <= 5 * (5000 / 50 * 0.2)


def test_a_wait_that_the_provider_names_is_kept():
    pacer = Pacer(10)
    pacer.started(0.0)
    pacer.refused(0.1, 0.0, 7.0)
    assert pacer.ready_at(0.2) == pytest.approx(7.1)


def test_a_configured_limit_is_never_passed():
    pacer = Pacer(50, requests_per_minute=120)
    starts: list[float] = []

    def accepts(now):
        starts.append(now)
        return True, None

    simulate(pacer, 60, accepts)
    assert max(sum(1 for s in starts if at <= s < at + 10) for at in starts) <= 21


def test_tokens_a_minute_hold_requests_back():
    pacer = Pacer(1, tokens_per_minute=100)
    pacer.started(0.0)
    pacer.succeeded(1.0, tokens=150)
    assert pacer.ready_at(2.0) == pytest.approx(61.0)


def test_all_places_taken_means_wait_for_an_end():
    pacer = Pacer(1)
    pacer.started(0.0)
    assert pacer.ready_at(0.0) == math.inf
    pacer.ended()
    assert pacer.ready_at(0.5) == 0.5


def test_a_limiter_lets_nobody_in_after_a_stop():
    limiter = Limiter(Pacer(1))
    stop = threading.Event()
    assert limiter.enter(stop)
    stop.set()
    assert not limiter.enter(stop)


def test_a_limiter_counts_refusals():
    limiter = Limiter(Pacer(4))
    assert limiter.enter(threading.Event())
    limiter.leave(RateLimited("slow down", provider="x", retry_after=3.0), None)
    state = limiter.state()
    assert state.refusals == 1
    assert 2.0 < state.paused_for <= 3.0


def test_a_pause_that_headers_ask_for_is_kept():
    limiter = Limiter(Pacer(4))
    limiter.pause(900.0)
    assert 800.0 < limiter.state().paused_for <= 900.0


@pytest.mark.parametrize("value", ["0", "-1", "many", "inf", "nan"])
def test_a_configured_limit_that_is_no_number_is_refused(tmp_path, value):
    settings = load_settings(
        {"LLMFLOWLAB_OPENAI_RPM": value}, cwd=tmp_path, stdin_is_terminal=False
    )
    with pytest.raises(InputError, match="LLMFLOWLAB_OPENAI_RPM"):
        limiter_for("openai", settings, 8)


def test_configured_limits_are_the_providers_own(tmp_path):
    settings = load_settings({"LLMFLOWLAB_OPENAI_RPM": "60"}, cwd=tmp_path, stdin_is_terminal=False)
    limited, free = limiter_for("openai", settings, 8), limiter_for("gemini", settings, 8)
    begun = time.monotonic()
    for limiter in (limited, free):
        assert limiter.enter(threading.Event())
    # 60 a minute: the next one a second after this one, whenever it is asked.
    assert limited._pacer.ready_at(begun) > begun + 0.5
    now = time.monotonic()
    assert free._pacer.ready_at(now) <= now
