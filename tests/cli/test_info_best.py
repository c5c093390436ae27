"""Why `info` names nobody's answers the best: what it says is true of every model."""

from types import SimpleNamespace
from typing import Any

import pytest

from llmflowlab.cli.info_tables import _no_best

RIGHT_NOWHERE = SimpleNamespace(doubt=None)
DOUBTED = SimpleNamespace(doubt="the judge failed its examination")


@pytest.mark.parametrize(
    ("qualities", "same", "said"),
    [
        pytest.param([None, None], True, "nothing was evaluated yet", id="never evaluated"),
        pytest.param([RIGHT_NOWHERE] * 2, False, "different questions", id="not the same rows"),
        pytest.param([DOUBTED, None], True, "what was measured is in doubt", id="all in doubt"),
        pytest.param([DOUBTED, RIGHT_NOWHERE], True, "of the rest no answer", id="some in doubt"),
        pytest.param([RIGHT_NOWHERE] * 2, True, "no answer was right", id="nobody right"),
    ],
)
def test_the_reason_is_true_of_every_model(qualities: list[Any], same: bool, said: str) -> None:
    models = [SimpleNamespace(quality=quality) for quality in qualities]
    comparison: Any = SimpleNamespace(models=models, same_questions=same)
    assert said in _no_best(comparison)
