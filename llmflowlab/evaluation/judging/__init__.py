"""LLM judges: MLflow's, a support desk's, the user's own; single, repeated, in panels and in pairs."""

from llmflowlab.evaluation.judging.instructions import read_instructions
from llmflowlab.evaluation.judging.judge import Judge
from llmflowlab.evaluation.judging.kinds import KINDS, JudgeKind, own_kind
from llmflowlab.evaluation.judging.pairwise import PREFERENCE, PreferenceScorer
from llmflowlab.evaluation.judging.scorer import Combine, JudgeScorer, Panel, panel_of

__all__ = [
    "KINDS",
    "PREFERENCE",
    "Combine",
    "Judge",
    "JudgeKind",
    "JudgeScorer",
    "Panel",
    "PreferenceScorer",
    "own_kind",
    "panel_of",
    "read_instructions",
]
