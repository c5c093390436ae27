"""A PostgreSQL cluster from processes, on this machine alone."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["Cluster", "free_port", "running_cluster", "server_programs"]


def server_programs() -> Path | None:
    """Return the folder of the newest PostgreSQL's programs; None where it is not installed."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[4])
    )
    if found:
        return found[-1].parent
    there = shutil.which("initdb")
    return Path(there).resolve().parent if there else None


def free_port() -> int:
    """Return a port of this machine at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Cluster:
    """A running cluster of user `lab`."""

    def __init__(self, port: int, password: str, run: Any) -> None:
        self._port = port
        self._password = password
        self._run = run

    def database(self, name: str) -> str:
        """Return a database's address behind `postgresql`, from the colon on; made where it is not there."""
        where = ("-h", "127.0.0.1", "-p", str(self._port), "-U", "lab")
        asked = f"SELECT 1 FROM pg_database WHERE datname = '{name}'"
        if not self._run("psql", *where, "-d", "postgres", "-tAc", asked).stdout.strip():
            self._run("createdb", *where, name)
        return f"://lab:{self._password}@127.0.0.1:{self._port}/{name}"


@contextmanager
def running_cluster(programs: Path, folder: Path, *, lasting: bool = True) -> Iterator[Cluster]:
    """Run a cluster; as another user where we are root, which PostgreSQL refuses to run as.

    Args:
        programs: PostgreSQL's.
        folder: Where it keeps everything; what is there is gone on with.
        lasting: Whether what is written must survive a power failure.

    Raises:
        RuntimeError: A program of PostgreSQL failed; with what it said.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data, secret = folder / "data", folder / "password"
    if not secret.exists():
        secret.touch(mode=0o600)
        secret.write_text(secrets.token_hex(16), encoding="utf-8")
    password = secret.read_text("utf-8")
    options: dict[str, Any] = {
        "cwd": folder,
        "encoding": "utf-8",
        "capture_output": True,
        "env": {**os.environ, "PGPASSWORD": password},
    }
    if os.geteuid() == 0:
        user = _unprivileged()
        for path in (folder, secret):
            os.chown(path, user.pw_uid, user.pw_gid)
        options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def run(program: str, *arguments: str, **more: Any) -> Any:
        done = subprocess.run([programs / program, *arguments], check=False, **{**options, **more})
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr or 'failed; see ' + str(folder / 'log')}")
        return done

    port = free_port()
    setting = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
    if not lasting:
        setting += " -c fsync=off"
    if not data.exists():
        made = ("-U", "lab", "-A", "scram-sha-256", "--pwfile", str(secret), "-E", "UTF8")
        run("initdb", "-D", str(data), *made, *(() if lasting else ("--no-sync",)))
    # Its server inherits no pipe of ours: we would wait for its end.
    quiet = {"capture_output": False, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    log = ("-l", str(folder / "log"), "-w")
    run("pg_ctl", "-D", str(data), "-o", setting, *log, "start", **quiet)
    try:
        yield Cluster(port, password, run)
    finally:
        run("pg_ctl", "-D", str(data), "-m", "fast" if lasting else "immediate", "-w", "stop")


def _unprivileged() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")
