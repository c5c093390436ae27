"""What a cluster cannot work with, in one sentence each."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from llmflowlab.cluster.ray_crew import RayCrew, load_ray, refuse_machine, versions_here
from llmflowlab.cluster.worker import ShardWorker
from llmflowlab.errors import ConfigurationError, ExitCode, InputError
from llmflowlab.lab.cluster_evaluation import crew_for, on_cluster, refuse_unsplit
from llmflowlab.lab.cluster_worker import WorkerBench, travelling
from llmflowlab.lab.evaluation_request import EvaluationRequest, RayRequest
from llmflowlab.lab.lab import Lab
from llmflowlab.settings import load_settings
from tests.loopback.server import closed_port


def _nobody(*_: object) -> ShardWorker:
    raise AssertionError("no worker is made")


HERE = {"llmflowlab": "0.2.0", "python": "3.11", "ray": "2.60.0"}


def test_without_ray_the_command_that_installs_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'llmflowlab\[ray\]'") as refused:
        load_ray()
    assert refused.value.exit_code == ExitCode.NOT_CONFIGURED


@pytest.mark.parametrize("address", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "auto"])
def test_an_address_at_which_nobody_listens_is_refused_at_once(monkeypatch, address):
    port = closed_port()

    def init(**_: object) -> None:
        raise AssertionError("Ray would try for a quarter of an hour")

    monkeypatch.setattr("llmflowlab.cluster.ray_crew.load_ray", lambda: SimpleNamespace(init=init))
    with pytest.raises(
        ConfigurationError, match=r"\(Connection refused\); start one with ray start"
    ):
        crew_for(
            Lab(load_settings({"RAY_ADDRESS": f"127.0.0.1:{port}"}, stdin_is_terminal=False)),
            RayRequest(address=address.format(port)),
        )


@pytest.mark.parametrize(
    ("address", "advice"), [("auto", "RAY_AUTH_MODE=token"), (None, "see what keeps Ray")]
)
def test_what_ray_says_against_a_cluster_is_told_in_a_sentence(monkeypatch, address, advice):

    def init(**_: object) -> None:
        raise ConnectionError("Failed to\n connect. Please set `--address`.")

    monkeypatch.setattr("llmflowlab.cluster.ray_crew.load_ray", lambda: SimpleNamespace(init=init))
    with pytest.raises(ConfigurationError, match=r"\(Failed to connect\); ") as refused:
        RayCrew(address, _nobody)
    assert advice in refused.value.message


def test_a_machine_with_other_versions_is_refused_by_name():
    there = {**HERE, "llmflowlab": "0.1.0", "python": "3.10"}
    with pytest.raises(ConfigurationError) as refused:
        refuse_machine("gpu-7", there, HERE, saw=True, place="/shared")
    assert refused.value.message.startswith(
        "The worker machine gpu-7 has llmflowlab 0.1.0 (here 0.2.0), python 3.10 (here 3.11);"
    )


def test_a_machine_that_does_not_see_the_storage_is_refused_by_name():
    with pytest.raises(ConfigurationError, match=r"gpu-7 does not see /home/me; name --storage"):
        refuse_machine("gpu-7", HERE, HERE, saw=False, place="/home/me")
    refuse_machine("gpu-7", HERE, HERE, saw=True, place="/shared")


def test_the_versions_that_count_are_those_of_lab_python_mlflow_and_ray():
    found = versions_here()
    assert set(found) == {"llmflowlab", "python", "mlflow", "ray"}
    assert found["python"] == f"{sys.version_info[0]}.{sys.version_info[1]}"


def test_a_cluster_elsewhere_needs_storage_that_it_sees(tmp_path, monkeypatch):
    monkeypatch.setattr("llmflowlab.lab.cluster_evaluation.load_ray", lambda: None)
    lab = Lab(load_settings({}, cwd=tmp_path, stdin_is_terminal=False))
    request = EvaluationRequest(ray=RayRequest(address="auto"))
    with pytest.raises(ConfigurationError, match="--storage"):
        on_cluster(lab, request)
    assert on_cluster(lab, EvaluationRequest()) is None
    here = on_cluster(lab, EvaluationRequest(ray=RayRequest()))
    assert here is not None
    assert here.storage.place == str(lab.settings.state_dir / "cluster")


@pytest.mark.parametrize(
    ("asked", "option"),
    [({"until_decided": 0.1}, "--until-decided"), ({"harness": "mlflow"}, "--harness mlflow")],
)
def test_what_needs_all_rows_in_one_process_is_refused(asked, option):
    with pytest.raises(InputError, match=f"{option} needs all rows in one process"):
        refuse_unsplit(EvaluationRequest(ray=RayRequest(), **asked))
    refuse_unsplit(EvaluationRequest(**asked))


def test_no_key_leaves_the_drivers_machine_and_a_workers_own_address_wins(tmp_path, monkeypatch):
    variables = {
        "OPENAI_API_KEY": "secret-1",
        "LLMFLOWLAB_SERVICE_TOKEN": "secret-2",
        "LLMFLOWLAB_SERVICE_DATABASE": "postgresql://me:secret-3@host/db",
        "MLFLOW_TRACKING_URI": "https://me:secret-4@host",
        "LLMFLOWLAB_MAX_TRIES": "3",
        "LLMFLOWLAB_JUDGE_EXAM": "0",
        "OLLAMA_HOST": "http://driver:11434",
        "OPENAI_BASE_URL": "http://driver:8000/v1",
    }
    (tmp_path / "prices.json").write_text('{"table:one": {}}')
    told = travelling(load_settings(variables, cwd=tmp_path, stdin_is_terminal=False))
    assert "secret" not in str(told)
    assert told.prices == '{"table:one": {}}'
    monkeypatch.setenv("OLLAMA_HOST", "http://gpu-7:11434")
    monkeypatch.setenv("OPENAI_API_KEY", "of-the-worker")
    bench = WorkerBench(told)
    there = bench.settings
    assert there.max_tries == 3
    assert there.get("OLLAMA_HOST") == "http://gpu-7:11434"
    assert there.get("OPENAI_BASE_URL") == "http://driver:8000/v1"
    assert there.get("OPENAI_API_KEY") == "of-the-worker"
    assert there.home != tmp_path
    assert there.prices_file.read_text() == '{"table:one": {}}'
