"""One streamed answer as it is read: what has come, how it ended, whether it was refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from llmflowlab.errors import BadAnswer, RefusedBySafety, StreamInterrupted
from llmflowlab.providers.arrival import name, pieces
from llmflowlab.providers.base import (
    Finished,
    FinishReason,
    Provider,
    StreamEvent,
    TextDelta,
    Usage,
    UsageReport,
)
from llmflowlab.providers.transport import because

__all__ = ["Reading"]


class Reading:
    """Keeps the state of one answer, so that its end can be told rightly.

    Args:
        provider: Whose answer it is.
        reasons: The vendor's finish reasons and ours.
    """

    def __init__(self, provider: Provider, reasons: Mapping[str, FinishReason]) -> None:
        self.begun = False
        """Whether a piece of text or reasoning came."""
        self.reason: str | None = None
        """Why the answer ended, in the vendor's word."""
        self._provider = provider
        self._reasons = reasons
        self._text_came = False
        self._counted: Usage | None = None
        self._uncounted = False
        self._refusal: list[str] = []
        self._model_version: str | None = None
        self._fingerprint: str | None = None
        self._chances: tuple[tuple[str, float], ...] = ()

    def take(self, content: object, *, thinking: bool = False) -> Iterator[StreamEvent]:
        """Pass on what of a message's content is text or thinking; see `arrival.pieces`."""
        for piece in pieces(content, thinking=thinking):
            self.begun = self._uncounted = True
            self._text_came = self._text_came or isinstance(piece, TextDelta)
            yield piece

    def served(self, model: object, fingerprint: object = None) -> None:
        """Note the model that the vendor says it serves, and its set-up."""
        self._model_version = name(model) or self._model_version
        self._fingerprint = name(fingerprint) or self._fingerprint

    def first_token(self, chances: tuple[tuple[str, float], ...]) -> None:
        """Note how likely each first token was; what is told of later ones is not."""
        self._chances = self._chances or chances

    def refused(self, words: object) -> None:
        """Note a piece of a refusal that the model itself wrote."""
        self._refusal += [piece.text for piece in pieces(words)]

    def ended(self, reason: object) -> None:
        """Note the vendor's finish reason, where there is one."""
        self.reason = name(reason) or self.reason

    def count(self, counted: Usage) -> UsageReport:
        """Take the counts that came after all that was read so far."""
        self._counted, self._uncounted = counted, False
        return UsageReport(counted)

    def end(self, nothing_came: str) -> Iterator[StreamEvent]:
        """Yield the last events, as `finish` tells; a count of the text's beginning is no count of the answer."""
        finished = self.finish(nothing_came)
        if self._counted is not None and self._uncounted:
            yield UsageReport(replace(self._counted, completion_tokens=None))
        yield finished

    def finish(self, nothing_came: str) -> Finished:
        """Return the last event.

        Args:
            nothing_came: Advice, in a whole sentence, for an answer of which nothing came at all.

        Raises:
            RefusedBySafety: A filter, or the model itself, refused before any text of the answer.
            BadAnswer: Nothing came.
            StreamInterrupted: The stream ended without a finish reason.
        """
        provider, vendor = self._provider, self._provider.display_name
        if self.reason is None and not self.begun and not self._refusal:
            raise BadAnswer(
                f"{vendor} sent no answer. {nothing_came}",
                provider=provider.name,
                model=provider.model,
            )
        if self.reason is None:
            raise StreamInterrupted(
                f"{vendor} ended its answer without saying that it was finished.",
                provider=provider.name,
                model=provider.model,
            )
        safety = bool(self._refusal) or self._reasons.get(self.reason) == "safety"
        if safety and not self._text_came:
            ending = because("".join(self._refusal), provider.settings)
            who = "model refused to answer" if self._refusal else "filter stopped the answer"
            raise RefusedBySafety(
                f"{vendor}'s {who}{ending} Put the question differently.",
                provider=provider.name,
                model=provider.model,
            )
        reason = "safety" if safety else self._reasons.get(self.reason, "other")
        return Finished(
            reason,
            self._model_version,
            fingerprint=self._fingerprint,
            token_chances=self._chances,
        )
