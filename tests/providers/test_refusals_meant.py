"""What vendors really say, and what is made of it: the meaning decides, not the status.

Each sentence is a vendor's own. It goes through the vendor's real SDK, and none is ever left out.
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import httpx2
import pytest

from llmflowlab.errors import (
    AuthenticationFailed,
    BadRequest,
    Overloaded,
    ProviderError,
    RateLimited,
    UnknownModel,
)
from llmflowlab.providers.base import Finished, Provider, TextDelta, UsageReport
from llmflowlab.providers.receiving import events_of
from tests.providers.http_of import answer_by
from tests.providers.test_arrival_property import HELLO, provider_of

pytestmark = pytest.mark.usefixtures("requests_allowed")


def answering(vendor: str, *answers: tuple[int, Any], **headers: str) -> Provider:
    """Return the vendor's provider, whose SDK gets these answers, the last one for ever."""
    provider = provider_of(vendor)
    package: Any = httpx if vendor == "ollama" else httpx2
    left = list(answers)
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def handle(request: Any) -> Any:
        provider.sent.append(json.loads(request.content))  # type: ignore[attr-defined]
        status, body = left.pop(0) if len(left) > 1 else left[0]
        text = body if isinstance(body, str | bytes) else json.dumps(body)
        kind = "application/json" if isinstance(body, dict) else "text/event-stream"
        return package.Response(status, headers={"content-type": kind, **named}, content=text)

    provider.sent = []  # type: ignore[attr-defined]
    answer_by(provider, package.MockTransport(handle))
    return provider


def refused(vendor: str, status: int, body: Any, **headers: str) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        list(events_of(answering(vendor, (status, body), **headers), HELLO))
    return caught.value


def openai(message: str, code: str | None = None, kind: str = "", param: str | None = None) -> Any:
    return {"error": {"message": message, "type": kind, "code": code, "param": param}}


def claude(message: str, kind: str) -> Any:
    return {"type": "error", "error": {"type": kind, "message": message}}


def gemini(message: str, status: str, *details: Any) -> Any:
    return {"error": {"code": 0, "message": message, "status": status, "details": [*details]}}


def violation(quota: str) -> Any:
    return {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{"quotaId": quota}],
    }


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s"}
DISABLED = (
    "Generative Language API has not been used in project 123456789012 before or it is disabled. "
    "Enable it by visiting https://console.developers.google.com/apis/api/generativelanguage.googleapis.com"
)


@pytest.mark.parametrize(
    ("vendor", "status", "body", "kind", "meaning"),
    [
        pytest.param(
            "gemini",
            429,
            gemini(
                "You exceeded your current quota.",
                "RESOURCE_EXHAUSTED",
                violation("GenerateRequestsPerDayPerProjectPerModel-FreeTier"),
                RETRY,
            ),
            BadRequest,
            "the day's quota is used up",
            id="gemini: the day's quota",
        ),
        pytest.param(
            "gemini",
            429,
            gemini(
                "Quota exceeded for metric: free_tier_requests, limit: 0, model: gemini-3-pro",
                "RESOURCE_EXHAUSTED",
                violation("GenerateRequestsPerMinutePerProjectPerModel-FreeTier"),
                RETRY,
            ),
            BadRequest,
            "this key has no quota for it",
            id="gemini: limit 0",
        ),
        pytest.param(
            "gemini",
            429,
            gemini(
                "Quota exceeded for metric: free_tier_requests, limit: 10",
                "RESOURCE_EXHAUSTED",
                violation("GenerateRequestsPerMinutePerProjectPerModel-FreeTier"),
                RETRY,
            ),
            RateLimited,
            "its limit is reached",
            id="gemini: the minute's quota",
        ),
        pytest.param(
            "gemini",
            403,
            gemini(DISABLED, "PERMISSION_DENIED", {"reason": "SERVICE_DISABLED"}),
            AuthenticationFailed,
            "Gemini has the service switched off for this key",
            id="gemini: service disabled",
        ),
        pytest.param(
            "gemini",
            403,
            gemini(
                "The provided API key has an IP address restriction.",
                "PERMISSION_DENIED",
                {"reason": "API_KEY_IP_ADDRESS_BLOCKED"},
            ),
            AuthenticationFailed,
            "Gemini does not let this machine's network in",
            id="gemini: address",
        ),
        pytest.param(
            "gemini",
            400,
            gemini("User location is not supported for the API use.", "FAILED_PRECONDITION"),
            AuthenticationFailed,
            "Gemini does not serve the place that this request came from",
            id="gemini: country",
        ),
        pytest.param(
            "openai",
            403,
            openai(
                "Country, region, or territory not supported",
                "unsupported_country_region_territory",
                "request_forbidden",
            ),
            AuthenticationFailed,
            "OpenAI does not serve the place that this request came from",
            id="openai: country",
        ),
        pytest.param(
            "openai",
            403,
            openai("You have insufficient permissions for this operation. Missing scopes: model"),
            AuthenticationFailed,
            "OpenAI does not let this key do that",
            id="openai: scopes",
        ),
        pytest.param(
            "openai",
            401,
            openai("Incorrect API key provided: loopback.", "invalid_api_key"),
            AuthenticationFailed,
            "OpenAI refused the key",
            id="openai: key",
        ),
        pytest.param(
            "openai",
            429,
            openai(
                "Request too large for gpt-4.1 in organization org-x on tokens per min (TPM): Limit "
                "30000, Requested 40211. The input or output tokens must be reduced.",
                "rate_limit_exceeded",
                "tokens",
            ),
            BadRequest,
            "One request alone is larger than OpenAI's whole limit",
            id="openai: larger than the limit",
        ),
        pytest.param(
            "openai",
            429,
            openai(
                "Rate limit reached for gpt-4.1 on tokens per min (TPM): Limit 30000, Used 29000, "
                "Requested 4211. Please try again in 6.4s.",
                "rate_limit_exceeded",
                "tokens",
            ),
            RateLimited,
            "its limit is reached",
            id="openai: for a moment",
        ),
        pytest.param(
            "openai",
            404,
            openai(
                "This model is only supported in v1/responses and not in v1/chat/completions.",
                None,
                "invalid_request_error",
                "model",
            ),
            BadRequest,
            "a-model cannot be asked over chat completions",
            id="openai: responses only",
        ),
        pytest.param(
            "openai",
            404,
            openai(
                "This is not a chat model and thus not supported in the v1/chat/completions "
                "endpoint. Did you mean to use v1/completions?",
                None,
                "invalid_request_error",
                "model",
            ),
            BadRequest,
            "a-model cannot be asked over chat completions",
            id="openai: no chat model",
        ),
        pytest.param(
            "openai",
            404,
            openai(
                "Your organization must be verified to use the model `o3`. Please go to settings.",
                "model_not_found",
            ),
            AuthenticationFailed,
            "OpenAI wants the organization to be verified first",
            id="openai: verification",
        ),
        pytest.param(
            "openai",
            404,
            openai("The model `a-model` does not exist.", "model_not_found"),
            UnknownModel,
            "has no model 'a-model'",
            id="openai: no such model",
        ),
        pytest.param(
            "openai",
            500,
            openai("write /cache/x: no space left on device"),
            BadRequest,
            "No further try mends that.",
            id="a server of one's own: disk",
        ),
        pytest.param(
            "azure",
            403,
            openai("Access denied due to Virtual Network/Firewall rules.", "AccessDenied"),
            AuthenticationFailed,
            "Azure does not let this machine's network in",
            id="azure: firewall",
        ),
        pytest.param(
            "azure",
            403,
            openai("Public access is disabled. Please configure private endpoint.", "403"),
            AuthenticationFailed,
            "Azure does not let this machine's network in",
            id="azure: private endpoint",
        ),
        pytest.param(
            "azure",
            403,
            openai("Out of call volume quota. Quota will be replenished in 3.12:00:00.", "403"),
            BadRequest,
            "Azure says that the quota is used up",
            id="azure: quota",
        ),
        pytest.param(
            "azure",
            401,
            openai(
                "Access denied due to invalid subscription key or wrong API endpoint. Make sure to "
                "provide a valid key for an active subscription.",
                "401",
            ),
            AuthenticationFailed,
            "Azure refused the key",
            id="azure: key",
        ),
        pytest.param(
            "anthropic",
            403,
            claude("Request not allowed", "forbidden"),
            AuthenticationFailed,
            "Claude does not let this key do that",
            id="claude: forbidden",
        ),
        pytest.param(
            "anthropic",
            400,
            claude(
                "You have reached your specified API usage limits. You will regain access on "
                "2027-01-01 at 00:00 UTC.",
                "invalid_request_error",
            ),
            BadRequest,
            "Claude says that the quota is used up",
            id="claude: spent",
        ),
        pytest.param(
            "anthropic",
            503,
            {"message": "upstream connect error or disconnect before headers"},
            Overloaded,
            "for the moment",
            id="claude: a gateway's own form",
        ),
        pytest.param(
            "ollama",
            500,
            {"error": "unable to load model: /models/blobs/sha256-1"},
            BadRequest,
            "Ollama refused the request",
            id="ollama: a model that does not load",
        ),
        pytest.param(
            "ollama",
            500,
            {"error": "write /tmp/x: no space left on device"},
            BadRequest,
            "Ollama refused the request",
            id="ollama: disk",
        ),
        pytest.param(
            "ollama",
            403,
            {
                "error": "this model requires a subscription, upgrade for access: "
                "https://ollama.com/upgrade"
            },
            AuthenticationFailed,
            "Ollama wants a subscription for this",
            id="ollama: subscription",
        ),
        pytest.param(
            "ollama",
            429,
            {"error": "you (someone) have reached your weekly usage limit"},
            BadRequest,
            "Ollama says that the quota is used up",
            id="ollama: the week's limit",
        ),
        pytest.param(
            "ollama",
            401,
            {
                "error": "unauthorized",
                "signin_url": "https://ollama.com/connect?name=lab&key=c3NoLWVkMjU1MTkgQUFBQUMzTnphQzE",
            },
            AuthenticationFailed,
            "Run `ollama signin` where the server is, or open "
            "https://ollama.com/connect?name=lab&key=c3NoLWVkMjU1MTkgQUFBQUMzTnphQzE",
            id="ollama: sign in",
        ),
    ],
)
def test_a_refusal_is_told_by_what_it_means(
    vendor: str, status: int, body: Any, kind: type[ProviderError], meaning: str
):
    error = refused(vendor, status, body)
    assert type(error) is kind
    assert meaning in error.message
    inner = body.get("error", body)
    said = inner if isinstance(inner, str) else inner["message"]
    # Bounded: what is longer ends with an ellipsis.
    assert " ".join(said.split())[:200] in error.message
    assert len(error.message) < 700


def test_a_day_that_slides_is_waited_for_where_the_vendor_says_how_long():
    body = openai("Rate limit reached on requests per day (RPD): Limit 10000, Used 10000.")
    assert type(refused("openai", 429, body, retry_after="9")) is RateLimited
    assert type(refused("openai", 429, body)) is BadRequest


def test_a_gateways_page_is_not_taken_for_a_word_about_the_key():
    error = refused("openai", 403, "<html><h1>Forbidden</h1></html>")
    assert type(error) is AuthenticationFailed
    assert error.message.startswith("OpenAI is behind a gateway that refuses access.")


def test_a_sign_in_page_that_is_no_address_is_not_shown():
    for page in ("javascript:alert(1)", "https://x/\x1b]52;c;?\x07", "http://ollama.com/connect"):
        error = refused("ollama", 401, {"error": "unauthorized", "signin_url": page})
        assert page not in error.message
        assert "Set OLLAMA_API_KEY." in error.message


WHOLE = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "a-model-2026",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello world"},
            "finish_reason": "length",
        }
    ],
    "usage": {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17},
}


@pytest.mark.parametrize("vendor", ["openai", "azure"])
def test_who_may_not_stream_gets_whole_answers(vendor: str, monkeypatch: pytest.MonkeyPatch):
    body = openai(
        "Your organization must be verified to stream this model. Please go to settings.",
        "unsupported_value",
        "invalid_request_error",
        "stream",
    )
    provider = answering(vendor, (400, body), (200, WHOLE))
    monkeypatch.setattr(provider, "model", "another-model")
    for _ in range(2):
        text, counted, finished = "", None, None
        for event in events_of(provider, HELLO):
            match event:
                case TextDelta(piece):
                    text += piece
                case UsageReport(usage):
                    counted = (usage.prompt_tokens, usage.completion_tokens)
                case Finished():
                    finished = (event.reason, event.model_version)
        assert (text, counted, finished) == ("Hello world", (12, 5), ("length", "a-model-2026"))
    sent: list[Any] = provider.sent  # type: ignore[attr-defined]
    # Found out once.
    assert [each.get("stream") for each in sent] == [True, False, False]
    assert "stream_options" not in sent[1]
    assert len(provider.told()) == 1


def embeddings(*places: int | None) -> Any:
    data = [
        {"object": "embedding", "embedding": [float(at)], "index": place}
        for at, place in enumerate(places)
    ]
    return {"object": "list", "data": data, "model": "m"}


@pytest.mark.parametrize(
    ("places", "expected"),
    [((0, 1), (0.0, 1.0)), ((1, 0), (1.0, 0.0)), ((None, None), (0.0, 1.0))],
)
def test_vectors_are_those_of_their_texts(places: Any, expected: Any):
    found = answering("openai", (200, embeddings(*places))).embed(["a", "b"])
    assert found.vectors == tuple((number,) for number in expected)


@pytest.mark.parametrize("places", [(0, 0), (0, None), (1, 2)])
def test_vectors_of_which_nobody_can_tell_whose_they_are_are_none(places: Any):
    with pytest.raises(ProviderError, match="cannot be read"):
        answering("openai", (200, embeddings(*places))).embed(["a", "b"])
