"""The real package, registered by a session and loaded where the lab is not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from llmflowlab.agents.package import package
from llmflowlab.candidate import Candidate
from llmflowlab.messages import Parameters
from llmflowlab.tracking.delivery import Delivery
from tests.patience import PATIENCE
from tests.tracking.helpers import Stored, record, settings_for, start, turn
from tests.warm import warm

_GUIDE = Candidate(
    model="guide:docs",
    display_name="Guide",
    supplier="LLMFlowLab",
    parameters=Parameters(temperature=0.0),
)

_LOAD = """
import json, sys
import mlflow
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/llm_guide_chat@staging")
example = model.predict(model.input_example)
request = {"messages": [{"role": "user", "content": "What is a judge?"}]}
whole = model.predict(dict(request))
pieces = list(model.predict_stream(dict(request)))
import llmflowlab
print(json.dumps({"whole": whole, "pieces": pieces, "example": example, "from": llmflowlab.__file__}))
"""


def test_a_registered_model_answers_in_a_process_without_the_lab(mlflow_home: Path) -> None:
    settings = settings_for(mlflow_home)
    delivery = Delivery(settings, package=package())
    delivery.start()
    record(settings, delivery, turn(0), session=start(_GUIDE))
    assert delivery.wait(PATIENCE)
    delivery.stop()
    elsewhere = mlflow_home / "elsewhere"
    elsewhere.mkdir()
    # -I keeps the checkout and every other folder of this process off the path.
    done = subprocess.run(
        warm([sys.executable, "-I", "-W", "ignore", "-c", _LOAD, settings.tracking_uri]),
        cwd=elsewhere,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    model = _model_folder(mlflow_home)
    assert Path(seen["from"]).is_relative_to(model)
    answer = seen["whole"]["choices"][0]["message"]["content"]
    assert "judge" in answer.lower()
    pieces = "".join(p["choices"][0]["delta"]["content"] for p in seen["pieces"])
    assert pieces == answer
    assert seen["whole"]["usage"]["total_tokens"] > 0
    assert seen["example"]["choices"][0]["message"]["content"]


def _model_folder(home: Path) -> Path:
    (folder,) = home.glob("mlartifacts/LLMS_Text_Generation/models/*/artifacts")
    return folder


def test_the_package_travels_without_screens_caches_and_keys(mlflow_home: Path) -> None:
    settings = settings_for(mlflow_home, GEMINI_API_KEY="not-to-be-seen")
    delivery = Delivery(settings, package=package())
    delivery.start()
    record(settings, delivery, turn(0), session=start(_GUIDE))
    assert delivery.wait(PATIENCE)
    delivery.stop()
    folder = _model_folder(mlflow_home)
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
    assert "code/llmflowlab/asking/calling.py" in names
    assert [n for n in names if "__pycache__" in n or n.startswith("code/llmflowlab/cli")] == []
    texts = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert not any(b"not-to-be-seen" in text for text in texts)
    requirements = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert all("==" in line for line in requirements)
    assert requirements[0].startswith("mlflow==")
    assert len(Stored(settings).versions("llm_guide_chat")) == 1
