"""A script whose chat is long stays small: MLflow is another process's, and is waited for all the same."""

from __future__ import annotations

import re

from llmflowlab.lab.deliverer import on_the_way
from tests.e2e.program import Lab
from tests.e2e.stored import Everything
from tests.loopback import closed_port

QUESTIONS = "What is recall?\nWhat is precision?\n"
CHAT = ("chat", "--model", "guide", "--wait")


def test_lines_that_are_waited_for_load_no_mlflow_and_end_in_it(lab: Lab) -> None:
    lab.waits = False
    ended = lab.run(*CHAT, typed=QUESTIONS, PYTHONPROFILEIMPORTTIME="1")
    assert ended.code == 0
    assert on_the_way(lab.settings) is None
    (run,) = Everything(lab.settings).runs()
    assert (run.info.status, run.data.metrics["turns"]) == ("FINISHED", 2)
    imported = re.findall(r"\| +([\w.]+)$", ended.err, re.MULTILINE)
    assert "llmflowlab.lab.deliverer" in imported
    assert not {"mlflow", "pandas", "sqlalchemy"} & set(imported)


def test_whoever_waits_is_told_at_once_why_a_session_does_not_arrive(lab: Lab) -> None:
    lab.waits = False
    uri = f"http://127.0.0.1:{closed_port()}"
    ended = lab.run(*CHAT, typed=QUESTIONS, MLFLOW_TRACKING_URI=uri)
    assert ended.code == 0
    assert f"MLflow at {uri} does not answer; the session is kept in" in ended.err
    assert "1 session saved, and on the way to MLflow." in ended.err
    left = on_the_way(lab.settings)
    assert left is not None
    assert left.sessions == 1
