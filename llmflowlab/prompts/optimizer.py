"""MLflow's prompt optimisation with GEPA, in which every call and every score is the lab's own.

MLflow's own optimizer hands gepa the name of a model, which gepa opens through another library; this one hands
it a function. Reflective prompt evolution: Agrawal et al., GEPA, arXiv 2507.19457.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmflowlab.errors import ConfigurationError
from llmflowlab.loading import load
from llmflowlab.program import program_name
from llmflowlab.tracking.store import Store

__all__ = ["MINIBATCH", "Example", "Search", "Tried", "least_calls", "search"]

MINIBATCH = 3
"""Answers that a rewriting is judged by before it is tried on all."""
EXPERIMENT = "LLMS_Prompt_Optimization"
"""Where the runs of searches stand."""

_REFLECTION = """\
A prompt for a language model is to be improved. This is the prompt:
```
<curr_param>
```
These are questions it was used on, the answers the model gave, and what is to be said of them:
```
<side_info>
```
Write a better prompt for the same task, which holds for other questions too: state what the answers
lacked as rules, and do not repeat these questions in it. Keep {kept}. It may have {length:,} characters at most.
Give the new prompt alone, between two lines of ```."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A row that the prompt is tuned on, with the model that answers it."""

    model: int
    row: int
    question: str
    expected: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of an example."""

    answer: str
    score: float
    """0 to 1, more is better; 0 where the answer is not scored."""
    remark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is searched, by whom, and when it ends."""

    uri: str
    """`prompts:/NAME/VERSION`."""
    whole: Callable[[str], str]
    """From a proposed part to what MLflow holds: a text, or a chat's messages as JSON."""
    part: str
    """What is rewritten: the text, or a chat's system prompt."""
    kept: str
    """What must stay in it, in words."""
    fault: Callable[[str], str | None]
    """Says why a proposal cannot be used; None where it can."""
    examples: Sequence[Example]
    attempt: Callable[[str, Sequence[Example]], Sequence[Tried]]
    """Asks with a prompt, as MLflow holds it, and scores."""
    reflect: Callable[[str], str]
    """Asks the model that rewrites; raises where there is no answer."""
    spent: Callable[[], bool]
    """Whether the money is used up."""
    accept: Callable[[str], bool]
    """Decides on held-out rows whether the best proposal is worth a version."""
    calls: int
    length: int
    seed: int


def least_calls(examples: int) -> int:
    """Return the answers it takes to learn anything: all of them once, and three rewritings tried."""
    return examples + 3 * (MINIBATCH + examples)


def search(store: Store, wanted: Search) -> int | None:
    """Search; return the number of the version that was written, None where none was accepted.

    Raises:
        ConfigurationError: gepa is not installed.
        TrackingError: The store failed.
    """
    gepa = _gepa()
    import mlflow
    from mlflow.entities import Feedback
    from mlflow.genai import load_prompt, optimize_prompts
    from mlflow.genai.optimize.optimizers import BasePromptOptimizer
    from mlflow.genai.optimize.types import PromptOptimizerOutput
    from mlflow.genai.scorers import scorer

    known: dict[tuple[str, int], Tried] = {}

    def attempt(text: str, places: Sequence[int]) -> list[Tried]:
        """Ask once for each, whoever wants to know how often."""
        new = [place for place in places if (text, place) not in known]
        if new:
            tried = wanted.attempt(text, [wanted.examples[place] for place in new])
            known.update({(text, p): t for p, t in zip(new, tried, strict=True)})
        return [known[text, place] for place in places]

    def predict(example: int) -> str:
        # Within the search MLflow has the proposal stand in the registered version's place.
        template = load_prompt(wanted.uri, link_to_model=False).template
        text = template if isinstance(template, str) else json.dumps(template)
        (tried,) = attempt(text, [example])
        return json.dumps({"answer": tried.answer, "score": tried.score, "remark": tried.remark})

    @scorer(name="score")
    def read(outputs: str) -> Feedback:
        said = json.loads(outputs)
        return Feedback(value=said["score"], rationale=said["remark"])

    class Optimizer(BasePromptOptimizer):
        def optimize(
            self,
            eval_fn: Any,
            train_data: list[dict[str, Any]],
            target_prompts: dict[str, str],
            enable_tracking: bool = True,
        ) -> PromptOptimizerOutput:
            (name,) = target_prompts
            adapter = _Adapter(gepa, wanted, eval_fn, attempt, name)
            found = gepa.optimize(
                seed_candidate={name: wanted.part},
                trainset=train_data,
                adapter=adapter,
                reflection_lm=_reflecting(wanted),
                reflection_prompt_template=_REFLECTION.format(
                    kept=wanted.kept, length=wanted.length
                ),
                max_metric_calls=wanted.calls,
                stop_callbacks=lambda state: wanted.spent(),
                logger=_Silent(),
                seed=wanted.seed,
                raise_on_exception=True,
            )
            best = found.best_candidate[name]
            scores = found.val_aggregate_scores
            taken = best != wanted.part and wanted.accept(wanted.whole(best))
            return PromptOptimizerOutput(
                optimized_prompts={name: wanted.whole(best)} if taken else {},
                initial_eval_score=scores[0],
                final_eval_score=max(scores),
            )

    with store.translated():
        experiment = store.experiment_id(EXPERIMENT)
        name = wanted.uri.removeprefix("prompts:/").partition("/")[0]
        with (
            warnings.catch_warnings(),
            mlflow.start_run(experiment_id=experiment, run_name=f"Optimize_{name}"),
        ):
            # Said of MLflow's own description of the rows.
            warnings.simplefilter("ignore", UserWarning)
            done = optimize_prompts(
                predict_fn=predict,
                train_data=[
                    {"inputs": {"example": place}, "outputs": one.expected or one.question}
                    for place, one in enumerate(wanted.examples)
                ],
                prompt_uris=[wanted.uri],
                optimizer=Optimizer(),
                scorers=[read],
            )
        if not done.optimized_prompts:
            return None
        version = int(done.optimized_prompts[0].version)
        store.client.set_prompt_version_tag(name, version, "optimized_from", wanted.uri)
    return version


class _Adapter:
    """What gepa asks: how a proposal does on some rows, and what is to be said of that."""

    propose_new_texts = None

    def __init__(
        self,
        gepa: Any,
        wanted: Search,
        eval_fn: Any,
        attempt: Callable[[str, Sequence[int]], list[Tried]],
        name: str,
    ) -> None:
        self._gepa = gepa
        self._wanted = wanted
        self._eval = eval_fn
        self._attempt = attempt
        self._name = name

    def evaluate(
        self, batch: list[dict[str, Any]], candidate: dict[str, str], capture_traces: bool = False
    ) -> Any:
        part = candidate[self._name]
        places = [int(record["inputs"]["example"]) for record in batch]
        fault = None if part == self._wanted.part else self._wanted.fault(part)
        if fault is not None:
            # Nothing is asked with a prompt that cannot be used.
            tried = [Tried(answer="", score=0.0, remark=fault)] * len(batch)
        else:
            whole = self._wanted.whole(part)
            tried = self._attempt(whole, places)
            if len(batch) == len(self._wanted.examples) and not capture_traces:
                # MLflow is shown what was tried on all rows; a trace of each small batch tells nobody
                # anything and takes longer than the answers.
                self._eval({self._name: whole}, batch)
        return self._gepa.EvaluationBatch(
            outputs=[one.answer for one in tried],
            scores=[one.score for one in tried],
            trajectories=list(zip(places, tried, strict=True)) if capture_traces else None,
        )

    def make_reflective_dataset(
        self, candidate: Mapping[str, str], eval_batch: Any, components_to_update: Sequence[str]
    ) -> dict[str, list[dict[str, Any]]]:
        said = []
        for place, tried in eval_batch.trajectories:
            example = self._wanted.examples[place]
            said.append(
                {
                    "Question": example.question,
                    "Answer": tried.answer,
                    "Score": f"{tried.score:.2f} of 1",
                    "Remark": tried.remark or "none",
                    "Expected": example.expected or "not told",
                }
            )
        return dict.fromkeys(components_to_update, said)


def _reflecting(wanted: Search) -> Callable[[Any], str]:
    def ask(prompt: Any) -> str:
        return wanted.reflect(prompt if isinstance(prompt, str) else json.dumps(prompt))

    return ask


class _Silent:
    """Hears gepa's own reports."""

    def log(self, message: str) -> None:
        """Nobody reads them."""


def _gepa() -> Any:
    try:
        return load("gepa")
    except ImportError as exc:
        raise ConfigurationError(
            f"{program_name()} prompts optimize needs gepa: pip install 'gepa>=0.1.4,<0.2'."
        ) from exc
