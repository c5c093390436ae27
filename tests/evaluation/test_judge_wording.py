"""MLflow's judges are asked in MLflow's own words: its scorers are run and listened to."""

import pytest

from llmflowlab.data.dataset import Row
from llmflowlab.errors import ConfigurationError
from llmflowlab.evaluation.judging.judge_kinds import MLFLOW_JUDGES
from llmflowlab.evaluation.judging.wording import constant
from tests.patience import PATIENCE

ROW = Row(
    index=0,
    line=2,
    id="1",
    question='How far is it from Graz to Wien? It\'s "far" \\ I think.',
    expected="About 200 km by road.",
    guidelines=("Be brief.", "Name a <unit>."),
    source={},
)
ANSWER = 'It is 2 "hours".\n\nOr 200 km: {"a": 1} \\d <b>bold</b> – für mich.'

CLASSES = {
    "correctness": "Correctness",
    "safety": "Safety",
    "guidelines": "Guidelines",
    "relevance_to_query": "RelevanceToQuery",
    "equivalence": "Equivalence",
    "fluency": "Fluency",
    "completeness": "Completeness",
}
NEEDED = {
    "correctness": {"inputs", "outputs", "expectations"},
    "safety": {"outputs"},
    "guidelines": {"inputs", "outputs"},
    "relevance_to_query": {"inputs", "outputs"},
    "equivalence": {"outputs", "expectations"},
    "fluency": {"outputs"},
    "completeness": {"inputs", "outputs"},
}


@pytest.fixture
def listened(monkeypatch):
    """Return what MLflow's scorers would send."""
    from mlflow.entities.assessment import Feedback
    from mlflow.genai.judges.adapters.base_adapter import AdapterInvocationOutput, BaseJudgeAdapter
    from mlflow.genai.judges.utils import invocation_utils

    sent = []

    class Ear(BaseJudgeAdapter):
        @classmethod
        def is_applicable(cls, model_uri, prompt):
            return True

        def _invoke(self, input_params):
            sent.append(input_params.prompt)
            feedback = Feedback(name=input_params.assessment_name, value="yes", rationale="r")
            return AdapterInvocationOutput(feedback=feedback)

    monkeypatch.setattr(invocation_utils, "get_adapter", lambda model_uri, prompt: Ear())
    return sent


@pytest.mark.parametrize("kind", MLFLOW_JUDGES, ids=lambda kind: kind.name)
def test_the_question_put_to_a_judge_is_mlflows_word_for_word(listened, kind):
    from mlflow.genai import scorers

    options = {"guidelines": list(ROW.guidelines)} if kind.name == "guidelines" else {}
    scorer = getattr(scorers, CLASSES[kind.name])(model="openai:/any", **options)
    values = {
        "inputs": {"question": ROW.question},
        "outputs": ANSWER,
        "expectations": {"expected_response": ROW.expected},
    }
    scorer(**{name: values[name] for name in NEEDED[kind.name]})
    [theirs] = listened
    ours = kind.ask(ROW, ANSWER)
    if isinstance(theirs, str):
        assert (ours.system, ours.user) == (None, theirs)
    else:
        assert [m.role for m in theirs] == ["system", "user"]
        assert (ours.system, ours.user) == (theirs[0].content, theirs[1].content)


def test_every_judge_of_mlflow_that_is_offered_is_compared():
    assert {kind.name for kind in MLFLOW_JUDGES} == set(CLASSES) == set(NEEDED)


def test_a_wording_that_the_installed_mlflow_lacks_is_said():
    with pytest.raises(ConfigurationError, match="requirements"):
        constant("prompts.correctness", "NO_SUCH_PROMPT")


def test_asking_a_judge_does_not_import_mlflow():
    import subprocess
    import sys
    from pathlib import Path

    program = (
        "import sys\n"
        "from llmflowlab.evaluation.judging.judge_kinds import MLFLOW_JUDGES\n"
        "from llmflowlab.data.dataset import Row\n"
        "row = Row(index=0, line=1, id='1', question='Q', expected='E', guidelines=('g',), source={})\n"
        "for kind in MLFLOW_JUDGES:\n"
        "    kind.ask(row, 'A')\n"
        "assert 'mlflow' not in sys.modules\n"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", program], cwd=root, check=True, timeout=PATIENCE)
