"""One candidate's answer to one row, as it stands in the ledger and in every report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from llmflowlab.asking.paid import Paid
from llmflowlab.errors import Blocked, ConfigurationError, LabError, ProviderError
from llmflowlab.evaluation.scores import NotScored
from llmflowlab.providers.thinking import without_thinking
from llmflowlab.providers.transport import vendor_text
from llmflowlab.settings import Settings

__all__ = ["NOT_REACHED", "AnswerRecord", "RowState", "in_words"]

RowState: TypeAlias = Literal["complete", "incomplete", "failed", "blocked", "budget_exhausted"]


NOT_REACHED = "not_reached"
"""Reason of a row that was given up when the evaluation was stopped; it is asked again later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRecord:
    """What came of asking a candidate a row once."""

    text: str
    """Empty unless something came."""
    state: RowState
    reason: str | None = None
    """`ProviderError.reason` of a row without a complete answer."""
    error: str | None = None
    """The sentence that goes with `reason`."""
    started_ms: int = 0
    """Milliseconds since the epoch at which the successful or last try was sent."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    tokens_estimated: bool = False
    """True where a count is ours, not the provider's."""
    cost_usd: str | None = None
    """Of the answer itself, Decimal as text; None means unknown. `spent` is what was paid for it."""
    latency: float | None = None
    """Seconds of the try that answered; None where none did."""
    time_to_first_token: float | None = None
    finish_reason: str | None = None
    model_version: str | None = None
    tries: int = 1
    waited: float = 0.0
    """Seconds spent waiting between tries."""

    wasted_usd: str | None = None
    """What failed tries cost on top; None where there were none, or where it is unknown."""
    earlier_usd: str | None = None
    """What earlier starts of the evaluation paid for this row in vain; None where nothing.

    It is on records of its own as well, of which the ledger's total is made.
    """
    unpriced: bool = False
    """Whether something was paid for it whose price is not known."""
    prompt_cut: bool = False
    """Whether the server shortened the prompt before the model read it."""
    load_seconds: float = 0.0
    """Seconds of loading a local model first; no part of `latency`."""
    timed_out: float | None = None
    """Seconds after which a row without an answer was given up as too slow: it took at least as long."""
    violations: Sequence[Mapping[str, Any]] = ()
    """What the candidate's guardrails found, as they are recorded."""
    given: bool = False
    """Whether it stood in the data file: nobody was asked, and what it once took is not known."""

    shared: bool = False
    """Whether the process that computed it judged others meanwhile: of its own speed its time says nothing."""

    @property
    def took(self) -> float | None:
        """Seconds that count as latency: of the answer, or at least those it was waited for in vain."""
        return self.latency if self.answered else self.timed_out

    @property
    def answered(self) -> bool:
        return self.state == "complete"

    @property
    def reusable(self) -> bool:
        """Whether it need not be asked for again: a larger window makes another answer.

        An answer that the guardrails withheld they would withhold again; not so where their detector
        failed. What they did not send cost nothing to find.
        """
        blocked = self.reason == "blocked_out" and bool(self.violations)
        return (self.answered and not self.prompt_cut) or blocked

    @property
    def cost(self) -> Decimal | None:
        return None if self.cost_usd is None else Decimal(self.cost_usd)

    @property
    def spent(self) -> Decimal | None:
        """What was paid for it, failed tries and answers that broke off included.

        None where a part of it is unknown. This is what every total, report and limit adds up.
        """
        if self.given:
            return Decimal(0)
        if self.unpriced or (self.cost_usd is None and self.state in {"complete", "incomplete"}):
            return None
        return self.known_spent + Decimal(self.earlier_usd or 0)

    @property
    def price(self) -> Decimal | None:
        """What it takes to have such an answer: what was spent, unless it was given."""
        return None if self.given else self.spent

    @property
    def known_spent(self) -> Decimal:
        """What this start is known to have paid for it, which is what counts against a budget."""
        return (self.cost or Decimal(0)) + Decimal(self.wasted_usd or 0)

    @property
    def ended_at_limit(self) -> bool:
        """Whether the tokens allowed were used up, for the answer's text or for thinking alone."""
        return self.answered and self.finish_reason == "length"

    @property
    def why_not_scored(self) -> NotScored | None:
        """The reason every scorer gives for a row without a whole answer, before it reads the text."""
        return self.why_not_answered or self.why_not_whole

    @property
    def why_not_whole(self) -> NotScored | None:
        """Why an answer that arrived is not one: it was cut, stopped, or holds nothing but thinking."""
        if not self.answered:
            return None
        if self.prompt_cut:
            return "prompt_cut"
        if self.finish_reason == "safety":
            return "answer_filtered"
        if not self.text.strip():
            return "answer_tool_call" if self.finish_reason == "tool_calls" else "answer_empty"
        return "answer_cut" if self.finish_reason == "length" else None

    @property
    def why_not_answered(self) -> NotScored | None:
        """Why nothing arrived, or an answer that broke off; None where one came to its end."""
        reasons: dict[RowState, NotScored | None] = {
            "complete": None,
            "incomplete": "answer_incomplete",
            "failed": "answer_failed",
            "blocked": "blocked_in" if self.reason == "blocked_in" else "blocked_out",
            "budget_exhausted": "budget_exhausted",
        }
        return reasons[self.state]

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        # A record without it is written as it ever was, and its digest stays.
        left_out = ("earlier_usd", "unpriced", "prompt_cut", "load_seconds", "timed_out", "given")
        for name in (*left_out, "violations", "shared"):
            if not values[name]:
                del values[name]
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> AnswerRecord:
        return cls(**{name: value for name, value in values.items() if name in _FIELDS})

    @classmethod
    def of_given(cls, text: str, *, at_ms: int) -> AnswerRecord:
        """Return the record of an answer that stands in the data file.

        Args:
            text: As it stands there; thinking is taken out as of an answer that arrives.
            at_ms: When it was taken up, in milliseconds since the epoch.
        """
        said = without_thinking(text)
        return cls(text=said, state="complete", started_ms=at_ms, tries=0, given=True)

    @classmethod
    def of(cls, paid: Paid, *, began_ms: int, ended_ms: int, settings: Settings) -> AnswerRecord:
        """Return the record of a call.

        Args:
            paid: What came of it.
            began_ms: When it was begun, in milliseconds since the epoch.
            ended_ms: When it had ended.
            settings: Hold the secrets that no message may show.
        """
        answer = paid.answer
        came = answer is not None and answer.state != "interrupted"
        wasted = paid.wasted if came else paid.spent
        record = cls(
            text="",
            state="failed",
            started_ms=began_ms,
            tries=paid.tries,
            waited=paid.waited,
            wasted_usd=str(wasted) if wasted else None,
            unpriced=wasted is None,
            timed_out=paid.timed_out,
            violations=paid.violations,
        )
        if answer is None:
            reason, words = in_words(paid.error, settings)
            blocked = paid.state == "blocked"
            return replace(
                record,
                state="blocked" if blocked else "failed",
                reason=reason,
                error=words,
                prompt_tokens=paid.prompt_tokens if blocked else None,
                completion_tokens=paid.completion_tokens if blocked else None,
            )
        if answer.state == "interrupted":
            refused = paid.refused_by_budget
            return replace(
                record,
                state="budget_exhausted" if refused else "failed",
                reason="budget_exhausted" if refused else NOT_REACHED,
                error="The budget did not allow this call; raise it and resume."
                if refused
                else "The evaluation was stopped.",
            )
        whole = answer.state == "complete"
        return replace(
            record,
            text=answer.text,
            state="complete" if whole else "incomplete",
            reason=answer.error.reason if answer.error else None,
            error=answer.error.message if answer.error else None,
            started_ms=ended_ms - int(answer.inference_time * 1000),
            prompt_tokens=paid.prompt_tokens,
            completion_tokens=paid.completion_tokens,
            cached_tokens=paid.cached_tokens,
            tokens_estimated=paid.tokens_estimated,
            cost_usd=None if paid.cost is None else str(paid.cost),
            latency=answer.inference_time,
            time_to_first_token=answer.time_to_first_token,
            finish_reason=answer.finish_reason,
            model_version=answer.model_version,
            prompt_cut=paid.prompt_cut,
            load_seconds=answer.load_seconds,
        )


_FIELDS = frozenset(f.name for f in fields(AnswerRecord))


def in_words(error: BaseException | None, settings: Settings) -> tuple[str, str]:
    """Return why a row has no answer: the short reason, and the sentence without secrets."""
    if isinstance(error, ProviderError):
        return error.reason, error.message
    if isinstance(error, Blocked):
        return error.reason, error.message
    if isinstance(error, ConfigurationError):
        return "not_configured", error.message
    if isinstance(error, LabError):
        return "answer_failed", error.message
    said = vendor_text(error, settings)
    kind = type(error).__name__
    return (
        "answer_failed",
        f"Something unexpected went wrong ({kind}{f': {said}' if said else ''}).",
    )
