"""A PostgreSQL cluster in a folder of its own, for as long as the tests need it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.loopback.server import closed_port

__all__ = ["Cluster", "cluster", "programs"]


def programs() -> Path | None:
    """Return the folder of the newest PostgreSQL's programs; None where it is not installed."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[4])
    )
    if found:
        return found[-1].parent
    there = shutil.which("initdb")
    return Path(there).resolve().parent if there else None


class Cluster:
    """A running cluster, without a password, on this machine alone."""

    def __init__(self, port: int, run: Any) -> None:
        self._port = port
        self._run = run

    def database(self, name: str) -> str:
        """Make a database; returns its address behind `postgresql`, from the colon on."""
        self._run("createdb", *self._where(), name)
        return f"://lab@127.0.0.1:{self._port}/{name}"

    def ask(self, database: str, statement: str) -> str:
        """Return what a statement gives, without headings."""
        return str(
            self._run("psql", *self._where(), "-d", database, "-At", "-c", statement).stdout
        ).strip()

    def _where(self) -> tuple[str, ...]:
        return ("-h", "127.0.0.1", "-p", str(self._port), "-U", "lab")


@contextmanager
def cluster(bin_folder: Path) -> Iterator[Cluster]:
    """Run a cluster; as another user where we are root, which PostgreSQL refuses to run as."""
    folder = Path(tempfile.mkdtemp(prefix="llmflowlab-pg-"))
    options: dict[str, Any] = {"cwd": folder, "capture_output": True, "encoding": "utf-8"}
    if os.geteuid() == 0:
        user = _unprivileged()
        os.chown(folder, user.pw_uid, user.pw_gid)
        options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def run(program: str, *arguments: str) -> Any:
        done = subprocess.run([bin_folder / program, *arguments], check=False, **options)
        assert done.returncode == 0, f"{program}: {done.stderr}"
        return done

    port, data = closed_port(), str(folder / "data")
    setting = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
    try:
        run("initdb", "-D", data, "-U", "lab", "-A", "trust", "-E", "UTF8", "--no-sync")
        # Its server inherits no pipe of ours: we would wait for its end.
        options |= {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        del options["capture_output"]
        run("pg_ctl", "-D", data, "-o", setting, "-l", str(folder / "log"), "-w", "start")
        del options["stdout"], options["stderr"]
        options["capture_output"] = True
        try:
            yield Cluster(port, run)
        finally:
            run("pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")
