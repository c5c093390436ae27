"""Every kind of scorer that needs no judge, by name; each is imported when it is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from llmflowlab.errors import InputError
from llmflowlab.evaluation.scorers.base import ScorerSpec, TextScorer
from llmflowlab.evaluation.scorers.extraction import extracting

__all__ = ["TEXT_KINDS", "TextKind", "build_text_scorer"]


@dataclass(frozen=True, slots=True)
class TextKind:
    """A kind of scorer."""

    name: str
    binary: bool
    """Whether it says yes or no; others give a degree from 0 to 1."""
    says: str
    """What 1 means, in a few words."""
    place: str
    """Module and builder, as in `deterministic.comparing`."""
    asks_model: bool = False
    """Whether it asks a model, and is built where models are at hand."""
    says_right: bool = False
    """Whether 1 means that the answer is right; others measure how near or how well said it is."""
    higher_is_better: bool = True


_ROOM = "llmflowlab.evaluation.scorers."

TEXT_KINDS: dict[str, TextKind] = {
    kind.name: kind
    for kind in (
        TextKind(
            "exact_match",
            True,
            "the normalised answer is the normalised expectation",
            "deterministic.comparing",
            says_right=True,
        ),
        TextKind(
            "contains",
            True,
            "the expected words stand in the answer, whole and in order",
            "deterministic.comparing",
            says_right=True,
        ),
        TextKind("token_f1", False, "the words agree (SQuAD's F1)", "deterministic.comparing"),
        TextKind(
            "squad_exact",
            True,
            "the answer is the expectation by SQuAD's own script",
            "deterministic.SquadExact",
            says_right=True,
        ),
        TextKind(
            "numeric_match",
            True,
            "the number is the expected one",
            "numeric.NumericMatch",
            says_right=True,
        ),
        TextKind(
            "multiple_choice",
            True,
            "the right option is chosen",
            "multiple_choice.MultipleChoice",
            says_right=True,
        ),
        TextKind("regex", True, "the pattern is found in the answer", "patterns.Regex"),
        TextKind("rouge_1", False, "the words agree (ROUGE-1)", "overlap.Rouge1"),
        TextKind("rouge_2", False, "the pairs of words agree (ROUGE-2)", "overlap.Rouge2"),
        TextKind("rouge_l", False, "the order of words agrees (ROUGE-L)", "overlap.RougeL"),
        TextKind("bleu", False, "the answers are the references (corpus BLEU)", "overlap.Bleu"),
        TextKind("chrf", False, "the character sequences agree (corpus chrF)", "overlap.Chrf"),
        TextKind("json_validity", True, "the answer is JSON", "patterns.JsonValidity"),
        TextKind("json_schema", True, "the answer fits a JSON schema", "patterns.JsonSchema"),
        TextKind("length", True, "the answer is as long as asked", "patterns.Length"),
        TextKind(
            "language_match",
            True,
            "the answer is in the question's language",
            "manner.LanguageMatch",
        ),
        TextKind(
            "refusal",
            True,
            "the answer refuses to do what was asked",
            "manner.RefusalScorer",
            higher_is_better=False,
        ),
        TextKind(
            "embedding_similarity",
            False,
            "the texts mean the same, by an embedding model: model=REF",
            "embedding.EmbeddingScorer",
            asks_model=True,
        ),
    )
}


def build_text_scorer(spec: ScorerSpec) -> TextScorer:
    """Build a scorer that asks no model.

    Raises:
        InputError: There is no such kind, or an option does not exist or has no such value.
    """
    kind = TEXT_KINDS.get(spec.kind)
    if kind is None or kind.asks_model:
        raise InputError(f"{spec.kind!r} is no scorer; choose from {', '.join(TEXT_KINDS)}.")
    module, _, builder = kind.place.partition(".")
    build: Callable[[ScorerSpec], TextScorer] = getattr(import_module(_ROOM + module), builder)
    return extracting(spec, build)
