"""Turns what the openai and anthropic SDKs raise into our errors; both come from one generator.

Their exception classes have the same names and the same tree, so one mapping serves both. Each
provider's tests enumerate its SDK's classes: a new one breaks the build, not a user.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llmflowlab.errors import BadRequest, ProviderError, TimedOut
from llmflowlab.providers.base import Provider
from llmflowlab.providers.reading import Reading
from llmflowlab.providers.refused_requests import Advice, Refusal, error_from_refusal
from llmflowlab.providers.transport import (
    connection_error,
    failure,
    is_http_error,
    transport_error,
    unreadable,
)
from llmflowlab.providers.vendor_sdk import shown

__all__ = ["mapped_errors", "unreachable_at"]


@contextmanager
def mapped_errors(
    sdk: Any,
    root: type[Exception],
    *,
    provider: Provider,
    address: str,
    advice: Advice,
    refusal: Callable[[Any], Refusal],
    reading: Reading | None,
) -> Iterator[None]:
    """Map everything that a call of an SDK can raise.

    Args:
        sdk: The imported package.
        root: The class from which all of its exceptions come.
        provider: Whose call it is.
        address: Where the call goes.
        advice: What a person can do about refusals.
        refusal: Reads the SDK's `APIError` of a request that was refused.
        reading: The answer being read, where there is one.

    Raises:
        ProviderError: The failure, mapped.
    """

    def begun() -> bool:
        return reading is not None and reading.begun

    unreachable = unreachable_at(provider, address, advice)

    def line_error(exc: Exception) -> ProviderError:
        # The SDK puts its own exception around that of its HTTP client, which says more.
        inner = exc.__cause__ or exc
        if isinstance(inner, ProviderError):
            return inner
        if is_http_error(inner):
            return transport_error(inner, provider=provider, begun=begun(), unreachable=unreachable)
        if isinstance(exc, sdk.APITimeoutError):
            return TimedOut(
                f"{provider.display_name} did not answer in time.",
                provider=provider.name,
                model=provider.model,
                stage="between_tokens" if begun() else "first_token",
            )
        return connection_error(inner, provider=provider, begun=begun(), unreachable=unreachable)

    try:
        yield
    except sdk.APIConnectionError as exc:
        raise line_error(exc) from exc
    except sdk.APIResponseValidationError as exc:
        raise unreadable(exc, provider=provider, begun=begun()) from exc
    except sdk.APIError as exc:
        raise error_from_refusal(refusal(exc), provider, advice) from exc
    except root as exc:
        raise BadRequest(
            f"The package {sdk.__name__} could not make the request ({type(exc).__name__}).",
            provider=provider.name,
            model=provider.model,
        ) from exc
    except Exception as exc:
        mapped = failure(exc, provider=provider, begun=begun(), unreachable=unreachable)
        if mapped is None:
            raise
        raise mapped from exc


def unreachable_at(provider: Provider, address: str, advice: Advice) -> str:
    """Return the sentence for an address at which nothing answers."""
    return (
        f"{provider.display_name} cannot be reached at {shown(address)}; check the network. "
        f"{advice.address}"
    )
