"""LLM judges: MLflow's, a support desk's, the user's own; single, repeated, in panels and in pairs."""

from llmflowlab.evaluation.judging.instructions import read_instructions
from llmflowlab.evaluation.judging.judge import Judge
from llmflowlab.evaluation.judging.judge_kinds import KINDS, OWN, JudgeKind, own_kind
from llmflowlab.evaluation.judging.judged_scorers import JUDGED, build_judged_scorer, judged_kind
from llmflowlab.evaluation.judging.pairwise import PREFERENCE, PreferenceScorer
from llmflowlab.evaluation.judging.scorer import Combine, JudgeScorer, Panel, panel_of

__all__ = [
    "JUDGED",
    "KINDS",
    "OWN",
    "PREFERENCE",
    "Combine",
    "Judge",
    "JudgeKind",
    "JudgeScorer",
    "Panel",
    "PreferenceScorer",
    "build_judged_scorer",
    "judged_kind",
    "own_kind",
    "panel_of",
    "read_instructions",
]
