"""MLflow's own gateway before the model server, as MLflow is installed here: `mlflow server` with an endpoint that tracks."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.harness import environment, migrated
from benchmarks.processes import ROOT

_LOCAL = {
    "MLFLOW_GATEWAY_API_BASE_ALLOW_PRIVATE_IPS": "true",
    "MLFLOW_GATEWAY_API_BASE_ALLOWED_SCHEMES": "http",
}
"""It asks no server of this machine otherwise."""

_SET_UP = """
import sys
from mlflow.entities import GatewayEndpointModelConfig, GatewayModelLinkageType
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
store = SqlAlchemyStore(sys.argv[1], sys.argv[2])
secret = store.create_gateway_secret(
    "bench", {"api_key": "benchmark"}, provider="openai", auth_config={"api_base": sys.argv[3]}
)
model = store.create_gateway_model_definition("bench", secret.secret_id, "openai", "bench")
config = GatewayEndpointModelConfig(
    model_definition_id=model.model_definition_id,
    linkage_type=GatewayModelLinkageType.PRIMARY,
    weight=1.0,
)
store.create_gateway_endpoint("bench", [config])
"""


@contextmanager
def gateway(home: Path, model_url: str) -> Iterator[str]:
    """Run it with one worker; yields its base URL, with the endpoint's name after a #.

    Raises:
        subprocess.CalledProcessError: This MLflow has no such gateway.
    """
    migrated(home)
    env = {**environment(home, model_url), **_LOCAL}
    database = f"sqlite:///{home / 'mlflow.db'}"
    command = [sys.executable, "-c", _SET_UP, database, str(home / "mlartifacts"), model_url]
    subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--backend-store-uri", database),
        *("--port", str(port), "--workers", "1"),
    ]
    with (home / "gateway.log").open("w") as log:
        process = subprocess.Popen(command, cwd=home, env=env, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        _await(f"{address}/health", process)
        yield f"{address}/gateway/mlflow/v1#bench"
    finally:
        process.terminate()
        process.wait()


def _await(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.2)
    raise AssertionError("MLflow's server did not come up")
