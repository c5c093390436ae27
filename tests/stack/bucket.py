"""An S3-compatible server as a process: versitygw, which keeps objects as files and knows `If-None-Match`."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.loopback.server import closed_port

PROGRAM = os.environ.get("VERSITYGW")
"""Read while tests are collected: a test has an environment of its own."""


@contextmanager
def bucket(folder: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Start one with a bucket; yields the address of a folder in it and the variables that lead there."""
    program = PROGRAM or shutil.which("versitygw")
    if program is None:
        pytest.skip(
            "versitygw is missing: go install github.com/versity/versitygw/cmd/versitygw@latest"
        )
    (folder / "lab").mkdir(parents=True)
    port = closed_port()
    server = subprocess.Popen(
        [
            *(program, "--access", "lab", "--secret", "laboratory"),
            *("--port", f"127.0.0.1:{port}", "posix", str(folder)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(300):
            with socket.socket() as line:
                if line.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield (
            "s3://lab/evaluations",
            {
                "AWS_ACCESS_KEY_ID": "lab",
                "AWS_SECRET_ACCESS_KEY": "laboratory",
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
                "AWS_DEFAULT_REGION": "us-east-1",
            },
        )
    finally:
        server.kill()
        server.wait()
