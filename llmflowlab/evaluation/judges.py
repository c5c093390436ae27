"""LLM judges: MLflow's own scorers, asked through the lab's providers.

MLflow's judges know few providers, read other variables than the vendors' SDKs and ignore base
URLs. Here MLflow supplies the instructions and the verdict's form, and the call itself goes through
`providers.calling.call`, so that every provider, address, deadline and retry works for a judge as it
does for a candidate, and each judgement's tokens and cost are known.

The one seam is `get_adapter` in MLflow's `judges.utils.invocation_utils`: judge models named
`llmflowlab:/REFERENCE` get `_adapter` from it (pinned by a test, as MLflow has no public hook).
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Any

from llmflowlab.errors import BadAnswer, InputError, ProviderError
from llmflowlab.evaluation.answers import AnswerRecord, Metering
from llmflowlab.evaluation.budget import Budget
from llmflowlab.evaluation.dataset import Row
from llmflowlab.evaluation.plan import digest_of
from llmflowlab.evaluation.reservation import Reservation
from llmflowlab.evaluation.scores import NotScored, Score
from llmflowlab.evaluation.stopping import Stopper
from llmflowlab.providers.base import Message, Parameters, Provider, Request
from llmflowlab.providers.calling import CallPolicy
from llmflowlab.providers.pacing import Gate
from llmflowlab.settings import Settings
from llmflowlab.tracking.store import load_mlflow

__all__ = ["JUDGED", "Judge", "JudgeScorer", "judge_scorer"]

MAX_VERDICT_TOKENS = 4096
"""Longest verdict under a budget; reasoning models think before they judge."""

VERDICT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "rationale": {"type": "string", "description": "The reason for the verdict, in short."},
        "result": {"type": "string", "enum": ["yes", "no"]},
    },
    "required": ["rationale", "result"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge answered, read."""

    result: str
    """`yes` or `no`."""
    rationale: str
    record: AnswerRecord


class Judge:
    """The model behind the LLM scorers of one evaluation; the same for all its candidates.

    Raises:
        InputError: The provider is no language model.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        policy: CallPolicy,
        metering: Metering,
        budget: Budget | None = None,
        gate: Gate | None = None,
    ) -> None:
        if not provider.is_language_model:
            raise InputError(
                f"{provider.reference} cannot judge: it is no language model. Name another judge "
                "with --judge, or leave the judged scorers out."
            )
        self.provider = provider
        self._policy = policy
        self._metering = metering
        self.budget = budget or Budget(None)
        self._gate = gate

    @property
    def reference(self) -> str:
        return self.provider.reference

    def ask(self, prompt: str, stopper: Stopper) -> Verdict:
        """Put a judge's prompt and read the verdict.

        Raises:
            ProviderError: The judge did not answer.
            BrokenOff: It began to, and was paid for that.
            Unparseable: It answered, but neither yes nor no.
            OutOfBudget: The money for the call is not there; nothing was sent.
            NotReached: It was stopped before there was a verdict.
        """
        capped = self.budget.cap is not None
        request = Request(
            messages=(Message("user", prompt),),
            parameters=Parameters(max_tokens=MAX_VERDICT_TOKENS if capped else None),
            response_schema=VERDICT_SCHEMA,
        )
        worst = Decimal(0)
        if capped:
            price = self._metering.worst_case(self.provider, request, MAX_VERDICT_TOKENS)
            worst = price or Decimal(0)
        at_most = partial(self._metering.at_most, self.provider)
        reservation = Reservation(self.budget, worst, at_most, stopper.event)
        reservation.gate = self._gate
        record = _NOTHING
        try:
            answer = stopper.call(self.provider, request, policy=self._policy, gate=reservation)
            record = self._metering.record(self.provider, request, answer, 0)
            if answer.state == "interrupted":
                wasted = self._metering.wasted(self.provider, answer.failed_usage)
                record = replace(_NOTHING, wasted_usd=wasted)
        except ProviderError as exc:
            record = self._metering.failed(self.provider, exc, 0, exc.tries)
            if record.spent:
                raise BrokenOff(exc.message, record=record) from exc
            raise
        finally:
            reservation.settle(record.spent)
        if answer.state == "interrupted":
            raise OutOfBudget(record) if reservation.refused else NotReached(record)
        if answer.error is not None:
            raise BrokenOff(answer.error.message, record=record)
        result, rationale = read_verdict(answer.text, record)
        return Verdict(result, rationale, record)


_NOTHING = AnswerRecord(text="", state="failed", tries=0)


class _LeftOut(Exception):
    """A judgement is not there; `record` holds what tries before that may have cost."""

    def __init__(self, record: AnswerRecord) -> None:
        super().__init__()
        self.record = record


class OutOfBudget(_LeftOut):
    """It was not asked for because the budget does not allow it."""


class NotReached(_LeftOut):
    """The evaluation was stopped before it was there."""


class _PaidInVain(BadAnswer):
    """The judge was paid, but there is no verdict."""

    def __init__(self, message: str, *, record: AnswerRecord) -> None:
        super().__init__(message, provider="judge")
        self.record = record


class Unparseable(_PaidInVain):
    """The judge answered, but its verdict cannot be read."""


class BrokenOff(_PaidInVain):
    """The judge's answer broke off in the middle."""


def read_verdict(text: str, record: AnswerRecord) -> tuple[str, str]:
    """Read `{"result", "rationale"}` from a judge's answer; the verdict is never guessed.

    Raises:
        Unparseable: No JSON object with a result of yes or no.
    """
    fenced = re.search(r"```(?:json)?\s*\n(.*?)```", text, flags=re.DOTALL)
    body = (fenced.group(1) if fenced else text).strip()
    try:
        # Models put raw line breaks into JSON strings; `strict=False` reads them as they are.
        values = json.loads(body, strict=False)
    except ValueError:
        values = None
    result = values.get("result") if isinstance(values, dict) else None
    if isinstance(result, bool):
        result = "yes" if result else "no"
    verdict = result.strip().lower() if isinstance(result, str) else None
    if verdict not in {"yes", "no"}:
        shown = " ".join(text.split())[:200] or "nothing"
        raise Unparseable(f"the judge's verdict cannot be read; it said: {shown}", record=record)
    assert isinstance(values, dict)
    return verdict, str(values.get("rationale") or "")


@dataclass(frozen=True, slots=True)
class _Asking:
    """What the adapter needs to know of the judgement being made in this thread."""

    judge: Judge
    stopper: Stopper
    verdicts: list[Verdict]


_asking: ContextVar[_Asking] = ContextVar("llmflowlab_asking")
_installing = threading.Lock()
_installed = threading.Event()
_MODULES = ("mlflow.genai.judges.utils.invocation_utils", "mlflow.genai.scorers")


def preload(settings: Settings) -> None:
    """Begin to import MLflow's judges in the background; they take two seconds."""
    threading.Thread(target=install, args=(settings,), name="judges-load", daemon=True).start()


def install(settings: Settings) -> None:
    """Teach MLflow's judges the scheme `llmflowlab:/`; once per process, whoever comes first."""
    with _installing:
        if not _installed.is_set():
            load_mlflow(settings, *_MODULES)
            _install()
            _installed.set()


def _install() -> None:
    from mlflow.entities.assessment import Feedback
    from mlflow.entities.assessment_source import AssessmentSource, AssessmentSourceType
    from mlflow.genai.judges.adapters.base_adapter import (
        AdapterInvocationInput,
        AdapterInvocationOutput,
        BaseJudgeAdapter,
    )
    from mlflow.genai.judges.utils import invocation_utils

    class LabAdapter(BaseJudgeAdapter):
        @classmethod
        def is_applicable(cls, model_uri: str, prompt: Any) -> bool:
            return model_uri.startswith("llmflowlab:/")

        def _invoke(self, input_params: AdapterInvocationInput) -> AdapterInvocationOutput:
            asking = _asking.get()
            prompt = input_params.prompt
            text = (
                prompt if isinstance(prompt, str) else "\n\n".join(str(m.content) for m in prompt)
            )
            verdict = asking.judge.ask(text, asking.stopper)
            asking.verdicts.append(verdict)
            source = AssessmentSource(
                source_type=AssessmentSourceType.LLM_JUDGE, source_id=asking.judge.reference
            )
            return AdapterInvocationOutput(
                feedback=Feedback(
                    name=input_params.assessment_name,
                    value=verdict.result,
                    rationale=verdict.rationale,
                    source=source,
                )
            )

    seam: Any = invocation_utils
    original: Callable[..., Any] = seam.get_adapter

    def get_adapter(model_uri: str, prompt: Any) -> Any:
        if LabAdapter.is_applicable(model_uri, prompt):
            return LabAdapter()
        return original(model_uri=model_uri, prompt=prompt)

    seam.get_adapter = get_adapter


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one of MLflow's judges is called for a row."""

    name: str
    version: str
    refuses: Callable[[Row], NotScored | None]
    ask: Callable[[str, Row, str], Any]
    """(model URI, row, answer) → MLflow's Feedback."""


def _ask_correctness(model: str, row: Row, answer: str) -> Any:
    from mlflow.genai.scorers import Correctness

    return Correctness(model=model)(
        inputs={"question": row.question},
        outputs=answer,
        expectations={"expected_response": row.expected},
    )


def _ask_safety(model: str, row: Row, answer: str) -> Any:
    from mlflow.genai import scorers

    safety: Any = scorers.Safety
    return safety(model=model)(outputs=answer)


def _ask_guidelines(model: str, row: Row, answer: str) -> Any:
    from mlflow.genai.scorers import Guidelines

    return Guidelines(model=model, guidelines=list(row.guidelines))(
        inputs={"question": row.question}, outputs=answer
    )


# The version stands for MLflow's instructions: it moves when a newer MLflow words them differently.
_KINDS: dict[str, _Kind] = {
    kind.name: kind
    for kind in (
        _Kind(
            "correctness",
            "mlflow-3.17.2",
            lambda row: None if row.expected else "no_expected_answer",
            _ask_correctness,
        ),
        _Kind("safety", "mlflow-3.17.2", lambda row: None, _ask_safety),
        _Kind(
            "guidelines",
            "mlflow-3.17.2",
            lambda row: None if row.guidelines else "no_guidelines",
            _ask_guidelines,
        ),
    )
}

JUDGED: tuple[str, ...] = tuple(_KINDS)
"""Names of the scorers that need a judge."""


@dataclass(frozen=True, slots=True)
class JudgeScorer:
    """One of MLflow's judges as a scorer: yes is 1, no is 0, anything else is not scored."""

    kind: _Kind
    judge: Judge
    binary: bool = True
    needs_judge: bool = True

    @property
    def name(self) -> str:
        return self.kind.name

    @property
    def version(self) -> str:
        return self.kind.version

    def refuses(self, row: Row, answer: AnswerRecord) -> Score | None:
        """Return the score of a row that needs no asking because it cannot be judged."""
        reason = answer.why_not_scored or self.kind.refuses(row)
        return None if reason is None else Score(scorer=self.name, not_scored=reason)

    def key(self, row: Row, answer: AnswerRecord) -> str:
        """Return what a judgement depends on, for reuse."""
        about = [row.question, row.expected, list(row.guidelines), answer.text]
        return digest_of([self.name, self.version, self.judge.reference, about])

    def score(self, row: Row, answer: AnswerRecord, stopper: Stopper | None = None) -> Score:
        """Judge one answer; a failed or unreadable judgement is not scored, never a guess."""
        refused = self.refuses(row, answer)
        if refused is not None:
            return refused
        install(self.judge.provider.settings)
        asking = _Asking(self.judge, stopper or Stopper(), [])
        token = _asking.set(asking)
        try:
            self.kind.ask(f"llmflowlab:/{self.judge.reference}", row, answer.text)
        except Unparseable as exc:
            return self._score(exc.record, not_scored="judge_unparseable", rationale=exc.message)
        except BrokenOff as exc:
            return self._score(exc.record, not_scored="judge_failed", rationale=exc.message)
        except OutOfBudget as exc:
            return self._score(exc.record, not_scored="budget_exhausted")
        except NotReached as exc:
            return self._score(exc.record, not_scored="not_reached")
        except ProviderError as exc:
            return Score(
                scorer=self.name,
                not_scored="judge_failed",
                rationale=exc.message,
                judge=self.judge.reference,
            )
        finally:
            _asking.reset(token)
        verdict = asking.verdicts[-1]
        value = 1.0 if verdict.result == "yes" else 0.0
        return self._score(verdict.record, value=value, rationale=verdict.rationale)

    def _score(self, record: AnswerRecord, **outcome: Any) -> Score:
        unknown = record.cost is None and record.wasted_usd is None
        return Score(
            scorer=self.name,
            # Nobody judged where nothing was sent.
            judge=self.judge.reference if record.tries or not unknown else None,
            prompt_tokens=record.prompt_tokens,
            completion_tokens=record.completion_tokens,
            # With what failed tries cost, as it counts against the budget.
            cost_usd=None if unknown else str(record.spent),
            seconds=record.latency or 0.0,
            **outcome,
        )


def judge_scorer(name: str, judge: Judge) -> JudgeScorer:
    """Return the judged scorer of this name."""
    return JudgeScorer(_KINDS[name], judge)
