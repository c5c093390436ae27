from datetime import datetime, timedelta, timezone

import pytest

from llmflowlab.providers.limits import read_limits


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [("1s", 1.0), ("6m0s", 360.0), ("20ms", 0.02), ("1h2m", 600.0), ("soon", 0.0), ("", 0.0)],
)
def test_no_requests_left_means_a_pause_until_the_reset(reset, seconds):
    limits = read_limits(
        {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": reset}
    )
    assert limits is not None
    assert limits.pause == pytest.approx(seconds)


def test_room_left_means_no_pause():
    limits = read_limits(
        {
            "x-ratelimit-remaining-requests": "59",
            "x-ratelimit-reset-requests": "1s",
            "x-ratelimit-remaining-tokens": "149984",
            "x-ratelimit-reset-tokens": "6m0s",
        }
    )
    assert limits is not None
    assert limits.pause == 0.0


def test_the_longer_of_two_resets_counts():
    limits = read_limits(
        {
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "1s",
            "x-ratelimit-remaining-tokens": "0",
            "x-ratelimit-reset-tokens": "12s",
        }
    )
    assert limits is not None
    assert limits.pause == 12.0


def test_anthropic_names_a_moment():
    moment = datetime.now(timezone.utc) + timedelta(seconds=30)
    limits = read_limits(
        {
            "anthropic-ratelimit-tokens-remaining": "0",
            "anthropic-ratelimit-tokens-reset": moment.isoformat().replace("+00:00", "Z"),
        }
    )
    assert limits is not None
    assert 25 < limits.pause <= 30


@pytest.mark.parametrize("value", ["many", "", "1.5"])
def test_unreadable_headers_say_nothing(value):
    assert read_limits({"x-ratelimit-remaining-requests": value}) is None


def test_no_headers_say_nothing():
    assert read_limits({}) is None
