"""The search for a better version of a prompt at work: who is asked, how it is scored, who decides."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.calling import policy_from
from llmflowlab.asking.metering import DEFAULT_MAX_TOKENS, Metering
from llmflowlab.asking.pacing import limiter_for
from llmflowlab.asking.paid import Asker
from llmflowlab.candidate import Candidate
from llmflowlab.data.dataset import Dataset, subset
from llmflowlab.errors import ConfigurationError, InputError
from llmflowlab.evaluation.conclude.by_prompt import PromptVerdict
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.run.answering import Answering
from llmflowlab.evaluation.run.engine import new_evaluation_id
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.run.reuse import reusable_answers
from llmflowlab.evaluation.run.scoring import Scoring
from llmflowlab.evaluation.run.steering import Steering
from llmflowlab.evaluation.scorers.traits import traits_of
from llmflowlab.lab.evaluate import prepare, run
from llmflowlab.lab.evaluation_bench import patient_policy
from llmflowlab.lab.evaluation_request import EvaluationRequest
from llmflowlab.lab.judges import panel_for
from llmflowlab.lab.lab import Lab
from llmflowlab.lab.scorers import embedders_for
from llmflowlab.messages import Message, Parameters, Request
from llmflowlab.prompts.optimizer import MINIBATCH, Example, Search, Tried, least_calls
from llmflowlab.prompts.prompt_registry import RegisteredPrompt, load_prompt
from llmflowlab.prompts.prompt_template import PromptTemplate
from llmflowlab.providers.base import Provider
from llmflowlab.template import braced, variables_of
from llmflowlab.text.money import dollars

__all__ = ["OptimizeRequest", "Tuning"]

_ROUNDS = 8
"""Rewritings that are tried on all rows unless a number of calls is named."""
_LONGER = 4
"""How many times as long as now a prompt may become, unless that is named; 2,000 characters at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizeRequest:
    """A search that is wished for."""

    prompt: str
    models: Sequence[str]
    data: Path
    scorer: str
    budget: Decimal
    """USD for everything: looking, rewriting, judging, and the decision."""
    calls: int | None = None
    reflection: str | None = None
    judges: Sequence[str] = ()
    tune: float = 0.5
    max_length: int | None = None
    seed: int = 0


class Tuning:
    """A search under way."""

    def __init__(
        self,
        lab: Lab,
        request: OptimizeRequest,
        prompt: RegisteredPrompt,
        tuned: Dataset,
        held_out: Dataset,
        ledger: Ledger,
        tell: Callable[[str], None],
    ) -> None:
        self._lab = lab
        self._request = request
        self._prompt = prompt
        self._tuned = tuned
        self._held_out = held_out
        self._ledger = ledger
        self._tell = tell
        self._examples = [
            Example(model=model, row=row.index, question=row.question, expected=row.accepted)
            for row in tuned.rows
            for model in range(len(request.models))
        ]
        self._place, self._part = _part_of(prompt.written)
        self._length = request.max_length or max(2000, _LONGER * len(self._part))
        self._calls = self._affordable()
        self._providers = [lab.provider(model) for model in request.models]
        self._rewriter = lab.provider(request.reflection or request.models[0])
        self._metering = Metering(lab.counter, lab.prices)
        self._out_of_money = False
        self.verdicts: list[PromptVerdict] = []
        self.decided: EvaluationResult | None = None

    @property
    def spent(self) -> Decimal:
        """USD, the decision included."""
        decided = [] if self.decided is None else _costs(self.decided)
        return self._budget.spent + sum(decided, Decimal(0))

    def search(self) -> Search:
        """Return what is searched."""
        kept = [*braced(variables_of(self._part)).split(", "), *_includes(self._part)]
        return Search(
            uri=self._prompt.uri,
            whole=self._whole,
            part=self._part,
            kept=f"{', '.join(filter(None, kept))} as written" if any(kept) else "its language",
            fault=self._fault,
            examples=self._examples,
            attempt=self._attempt,
            reflect=self._reflect,
            spent=lambda: self._out_of_money,
            accept=self._accept,
            calls=self._calls,
            length=self._length,
            seed=self._request.seed,
        )

    def _affordable(self) -> int:
        """Return how many answers may be asked for, having refused what is too few or too dear."""
        examples, request = len(self._examples), self._request
        least = least_calls(examples)
        calls = request.calls or least_calls(examples) + (_ROUNDS - 3) * (MINIBATCH + examples)
        if calls < least:
            raise InputError(
                f"--calls {calls} is too few to learn anything from {examples} answers: give at least "
                f"{least:,}, or fewer rows."
            )
        asked = EvaluationRequest(
            models=request.models,
            prompts=[self._prompt.reference],
            data=self._tuned.path,
            scorers=[request.scorer],
            judges=request.judges,
            parameter_sets=[Parameters(max_tokens=DEFAULT_MAX_TOKENS)],
            fresh=True,
        )
        with closing(prepare(self._lab, asked)) as prepared:
            self._plan, figures = prepared.plan, prepared.estimate
        if figures.cost is None:
            raise ConfigurationError(
                f"A budget needs prices, and none is known for {', '.join(figures.unpriced)}; add them "
                "to prices.json."
            )
        each = figures.cost[1] / examples
        decision = each * 2 * len(self._held_out.rows) * len(request.models)
        if each and request.budget < each * least + decision:
            raise InputError(
                f"{dollars(request.budget)} is too little to learn anything: {least:,} answers to look "
                f"and the decision may cost {dollars(each * least + decision)}; give that, or fewer rows."
            )
        self._budget = Budget(request.budget - decision)
        self._tell(
            f"Tuning {self._prompt.reference} on {len(self._tuned.rows)} rows, at most {calls:,} "
            f"answers; {len(self._held_out.rows)} rows are held out for the decision."
        )
        return calls

    def _whole(self, part: str) -> str:
        """Return the prompt with a part in its place, as MLflow holds it."""
        parts = list(self._prompt.written.parts)
        parts[self._place] = (parts[self._place][0], part.strip())
        value = PromptTemplate(tuple(parts)).to_mlflow()
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    def _fault(self, part: str) -> str | None:
        if len(part) > self._length:
            return f"The prompt has {len(part):,} characters; it may have {self._length:,}."
        wanted, there = set(variables_of(self._part)), set(variables_of(part))
        if wanted != there:
            changed = braced(sorted(wanted ^ there))
            return f"The variables of the prompt must stay as they are; look at {changed}."
        if _includes(part) != _includes(self._part):
            return "What the prompt includes with {{> }} must stay as it is."
        return "The prompt is empty." if not part.strip() else None

    def _candidate(self, text: str, model: int) -> Candidate:
        value = text if self._prompt.written.is_text else json.loads(text)
        written = PromptTemplate.of(value, "the rewriting")
        store = self._lab.store()

        def load(name: str) -> tuple[str, PromptTemplate]:
            found = load_prompt(store, name)
            return found.reference, found.written

        template, _ = written.included(load, (self._prompt.reference,))
        system, messages = template.framed(self._tuned.rows[0].values)
        base = next(c for c in self._plan.candidates if c.model == self._providers[model].reference)
        return replace(
            base,
            system=system,
            messages=messages,
            prompt=None,
            variant=f"{self._prompt.name}, tuned",
        )

    def _attempt(self, text: str, examples: Sequence[Example]) -> list[Tried]:
        """Ask every model its rows of a batch; what was paid for in an earlier search is used again."""
        found: dict[tuple[int, int], Tried] = {}
        for model, provider in enumerate(self._providers):
            rows = [one.row for one in examples if one.model == model]
            if rows:
                tried = self._asked(self._candidate(text, model), provider, rows)
                found.update({(model, row): one for row, one in zip(rows, tried, strict=True)})
        return [found[one.model, one.row] for one in examples]

    def _asked(self, candidate: Candidate, provider: Provider, rows: Sequence[int]) -> list[Tried]:
        lab, concurrency = self._lab, self._lab.settings.concurrency
        plan = replace(
            self._plan,
            evaluation_id=new_evaluation_id(),
            dataset=subset(self._tuned, rows),
            candidates=(candidate,),
            fresh=False,
        )
        self._ledger.begin(plan, datetime.now().strftime("%Y-%m-%d %H:%M:%S"))
        policy, steering = patient_policy(lab.settings), Steering(concurrency, self._budget)
        answering = Answering(
            plan,
            [provider],
            self._ledger,
            limiters=[limiter_for(provider.name, lab.settings, concurrency)],
            concurrency=concurrency,
            policy=policy,
            metering=self._metering,
            reused=reusable_answers(plan, self._ledger),
            budget=self._budget,
        )
        answering.start()
        answering.join(lambda: None)
        shared = {
            "policy": policy,
            "metering": self._metering,
            "budget": self._budget,
            "steering": steering,
        }
        judge = panel_for(lab, plan, **shared)  # type: ignore[arg-type]  # each of its own kind
        embedders = embedders_for(lab, plan, self._ledger, **shared, allow_unknown_cost=False)  # type: ignore[arg-type]
        scoring = Scoring(plan, judge, self._ledger, embedders)
        scoring.recall(answering.answers)
        scoring.score_all(answering.answers, concurrency=concurrency)
        return [self._tried(answering, scoring, row) for row in range(len(rows))]

    def _tried(self, answering: Answering, scoring: Scoring, row: int) -> Tried:
        cell, (scorer,) = Cell(0, row), scoring.plan.scorers
        answer, score = answering.answers.get(cell), scoring.scores.get(cell, {}).get(scorer)
        if (
            answer is None
            or score is None
            or "budget_exhausted" in {answer.reason, score.not_scored}
        ):
            self._out_of_money = True
        if score is None or score.value is None:
            why = "no answer" if score is None else score.not_scored
            return Tried(
                answer=answer.text if answer else "", score=0.0, remark=f"not scored: {why}"
            )
        value = float(score.value)
        better = traits_of(scoring.plan.spec(scorer)).higher_is_better
        return Tried(
            answer=answer.text if answer else "",
            score=value if better else 1.0 - value,
            remark=score.rationale or ("right" if value == 1.0 else "not right"),
        )

    def _reflect(self, text: str) -> str:
        asker = Asker(
            self._rewriter,
            policy=policy_from(self._lab.settings),
            metering=self._metering,
            budget=self._budget,
        )
        request = Request(
            messages=(Message("user", text),),
            parameters=Parameters(max_tokens=max(DEFAULT_MAX_TOKENS, self._length)),
        )
        paid = asker.ask_blocking(request)
        if paid.refused_by_budget:
            self._out_of_money = True
            return f"```\n{self._part}\n```"
        return paid.whole().text

    def _accept(self, text: str) -> bool:
        """Evaluate old and new on held-out rows: better on a model, and worse on none."""
        models, asked = self._request.models, self._request
        wanted = EvaluationRequest(
            models=models,
            prompts=[self._prompt.reference],
            data=self._held_out.path,
            scorers=[asked.scorer],
            judges=asked.judges,
            beside=[self._candidate(text, model) for model in range(len(models))],
            budget=asked.budget - self._budget.spent,
        )
        with closing(prepare(self._lab, wanted)) as prepared:
            self.decided = run(prepared)
        self.verdicts = self.decided.prompts
        new = [v for v in self.verdicts if v.first.prompt is None and v.better]
        old = [v for v in self.verdicts if v.first.prompt is not None and v.better]
        return bool(new) and not old


def _costs(result: EvaluationResult) -> list[Decimal]:
    judged = result.judge_usage.get("cost_usd") or 0
    return [*(c.cost_usd or Decimal(0) for c in result.candidates), Decimal(str(judged))]


def _part_of(template: PromptTemplate) -> tuple[int, str]:
    """Return what is rewritten, and its place: the system prompt of a chat, else what the user says."""
    roles = [role for role, _ in template.parts]
    place = roles.index("system") if "system" in roles else len(roles) - 1
    return place, template.parts[place][1]


def _includes(text: str) -> list[str]:
    return list(PromptTemplate((("text", text),)).includes)
