"""What a call takes: its tokens and its money. Nobody else counts, prices or charges one.

Tokens are the provider's where it counted them, else ours. Ours count a request as chat formats send
it (system prompt and messages, each with what the format adds), so that every room arrives at the
same number. A count of 0 beside a text is no count: servers fill in zeros where they count nothing.

Money is USD as Decimal, None where it is unknown and never 0 instead. A try that failed is charged as
well: at what the provider reported of its end, else at the worst case, unless the provider refused it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from llmflowlab.asking.attempt import Answer
from llmflowlab.asking.pump import Sent
from llmflowlab.errors import (
    AuthenticationFailed,
    BadRequest,
    ConfigurationError,
    ConnectionFailed,
    ContextTooLong,
    LabError,
    Overloaded,
    ProviderError,
    RateLimited,
    StreamInterrupted,
    TimedOut,
    UnknownModel,
)
from llmflowlab.messages import Request
from llmflowlab.providers.base import Provider, Usage
from llmflowlab.text.cost import Prices
from llmflowlab.text.tokens import TokenCounter

__all__ = ["DEFAULT_MAX_TOKENS", "Metering", "Tokens", "together", "was_refused"]

DEFAULT_MAX_TOKENS = 4096
"""Length that an answer is taken to have at most where its request names none."""
_MARGIN = 16
"""Tokens by which servers miss the length they shorten a prompt to: the first ones are kept."""
_BREAKS = (TimedOut, ConnectionFailed, StreamInterrupted)
"""What ends an answer before its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Tokens of an answer; what the provider did not count is counted or estimated here."""

    prompt: int
    """All that was sent, cached ones included."""
    completion: int
    """All that was generated, reasoning included."""
    estimated: bool = False
    """Whether one of the two is our own count."""
    cached: int | None = None
    """The part of `prompt` read from the provider's cache; None where it did not say."""
    reasoning: int | None = None
    """The part of `completion` spent on hidden reasoning; None where it did not say."""

    @property
    def total(self) -> int:
        return self.prompt + self.completion

    def __add__(self, other: Tokens) -> Tokens:
        # Parts that one of the two does not know are unknown of both.
        return Tokens(
            prompt=self.prompt + other.prompt,
            completion=self.completion + other.completion,
            estimated=self.estimated or other.estimated,
            cached=together(self.cached, other.cached),
            reasoning=together(self.reasoning, other.reasoning),
        )


class Metering:
    """Counts and prices calls; safe to share between threads.

    Args:
        counter: Counts what the provider did not.
        prices: Prices of models; without them a call costs nothing where its provider is free, and
            is of unknown cost elsewhere.
    """

    def __init__(self, counter: TokenCounter, prices: Prices | None = None) -> None:
        self._counter = counter
        self._prices = prices

    def preload(self, provider: Provider) -> None:
        """Begin to load what counts a provider's tokens; until it is there, counts are estimates."""
        self._counter.preload(provider.model)

    def prompt_tokens(self, provider: Provider, what: Sent) -> int:
        """Count the tokens of what is sent, before anybody else has."""
        model = provider.model
        if not isinstance(what, Request):
            return sum(self._counter.count(text, model=model).value for text in what.texts)
        return self._counter.count_messages(what.openai_messages(), model=model).value

    def tokens(self, provider: Provider, what: Sent, answer: Answer) -> Tokens:
        """Return what an answer took."""
        usage = answer.usage
        prompt, completion = _prompt_of(usage), usage.completion_tokens
        said = answer.reasoning + answer.text
        if completion == 0 and said:
            completion = None
        if completion is None:
            completion = self._counter.count(said, model=provider.model).value if said else 0
            # Vectors are no tokens: that an endpoint reports none of them is no gap.
            estimated = not answer.vectors
        else:
            estimated = False
        return Tokens(
            prompt=self.prompt_tokens(provider, what) if prompt is None else prompt,
            completion=completion,
            estimated=estimated or prompt is None,
            cached=usage.cached_tokens,
            reasoning=usage.reasoning_tokens,
        )

    def prompt_cut(self, provider: Provider, what: Sent, answer: Answer) -> bool:
        """Tell whether the server shortened a prompt before the model read it.

        Only where the prompt is too long for a window by our count, and what was read is exactly
        what such servers leave of it: the whole window, or half of it. Tokenizers differ, so that
        the two counts alone would tell nothing.
        """
        read = _prompt_of(answer.usage)
        if read is None:
            return False
        left = [
            window
            for window in answer.windows
            if window - _MARGIN <= read <= window or window // 2 <= read <= window // 2 + _MARGIN
        ]
        if not left:
            return False
        sent = self.prompt_tokens(provider, what)
        return sent > 1.1 * read and any(sent > window for window in left)

    def cost(
        self, provider: Provider, what: Sent, answer: Answer, tokens: Tokens
    ) -> Decimal | None:
        """Return what an answer cost.

        One that broke off may have been generated to its end, whatever had been counted by then, so
        it is charged at the worst case. One that was given up here is charged for what came of it:
        closing the line ends it at the provider as well.
        """
        completion, broke_off = tokens.completion, answer.state == "incomplete"
        if broke_off:
            completion = max(completion, _most(what))
        cost = self._price(provider, tokens.prompt, completion, tokens.cached, answer.model_version)
        if not broke_off or cost is None or _prompt_of(answer.usage) is not None:
            return cost
        worst = self.worst_case(provider, what)
        return None if worst is None else max(cost, worst)

    def worst_case(
        self, provider: Provider, what: Sent, max_tokens: int | None = None
    ) -> Decimal | None:
        """Return what a try can cost at most, or None where its price is unknown.

        The prompt is counted, half as much again is added because the count is ours, and the answer
        is taken to be as long as allowed: by `max_tokens`, else by the request, else
        `DEFAULT_MAX_TOKENS`.
        """
        prompt = self.prompt_tokens(provider, what)
        most = _most(what) if max_tokens is None else max_tokens
        return self._price(provider, prompt + prompt // 2 + 64, most)

    def wasted(
        self, provider: Provider, what: Sent, usage: Usage, error: BaseException
    ) -> Decimal | None:
        """Return what a try cost that brought nothing, None where that is unknown.

        Args:
            provider: Whose try it was.
            what: What it sent.
            usage: What the provider reported of it all the same.
            error: Why it failed.
        """
        refused = was_refused(error)
        prompt, completion = _prompt_of(usage), usage.completion_tokens
        if prompt is None and not completion:
            return Decimal(0) if refused else self.worst_case(provider, what)
        if not refused and (completion is None or isinstance(error, _BREAKS)):
            # What was counted of an answer by then is its beginning.
            completion = max(completion or 0, _most(what))
        if prompt is None:
            prompt = self.prompt_tokens(provider, what)
        return self._price(provider, prompt, completion or 0, usage.cached_tokens)

    def _price(
        self,
        provider: Provider,
        prompt: int,
        completion: int,
        cached: int | None = None,
        served: str | None = None,
    ) -> Decimal | None:
        if provider.free:
            return Decimal(0)
        if self._prices is None:
            return None
        try:
            name, model = provider.priced_as
        except LabError:
            # Whose prices hold has to be looked up for some models; where it cannot be, none does.
            return None
        return self._prices.cost(name, model, prompt, completion, cached=cached, served=served)


def was_refused(error: BaseException) -> bool:
    """Tell whether a try failed before the provider began to generate, so that it cost nothing.

    That is a provider that said no, and one that was never reached. Silence, a line that broke and
    an answer that nobody can read are none: what was sent may have been answered.
    """
    match error:
        case ConnectionFailed():
            return not error.sent
        case TimedOut():
            return error.stage == "connect"
        case (
            RateLimited()
            | Overloaded()
            | AuthenticationFailed()
            | UnknownModel()
            | BadRequest()
            | ContextTooLong()
        ):
            return True
        case ProviderError():
            return error.status is not None and error.status >= 300
        case _:
            return isinstance(error, ConfigurationError)


def together(one: int | None, other: int | None) -> int | None:
    """Add two counts; unknown where one of them is."""
    return None if one is None or other is None else one + other


def _most(what: Sent) -> int:
    """Return the tokens that an answer can have."""
    if not isinstance(what, Request):
        return 0
    return what.parameters.max_tokens or DEFAULT_MAX_TOKENS


def _prompt_of(usage: Usage) -> int | None:
    """Return the prompt's tokens as reported; no prompt has 0."""
    return usage.prompt_tokens or None
