from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_code_left_behind() -> Iterator[None]:
    """Forget the modules that MLflow makes of models' code: their files are gone after the test.

    Hypothesis reads the files of all modules, and MLflow leaves paths there that it cannot read.
    """
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("code_model_"):
            del sys.modules[name]
