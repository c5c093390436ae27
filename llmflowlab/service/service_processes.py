"""Runs the service: one process or several on one socket, and those that score answers and bring them to MLflow."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
import multiprocessing.connection
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from llmflowlab.errors import ConfigurationError, InputError
from llmflowlab.lab.lab import Lab
from llmflowlab.lab.serve import Servable, require_configured
from llmflowlab.machine import on_this_machine
from llmflowlab.program import interpreted, program_name
from llmflowlab.service.impatient_protocol import KEPT, ImpatientProtocol
from llmflowlab.service.offers import offers, prompts_of
from llmflowlab.service.scoring.online_scorers import ScoringRequest, online_scoring
from llmflowlab.service.service_app import ServiceSetup, build_app
from llmflowlab.service.store.issued_keys import keys_made
from llmflowlab.service.store.served_turns import let_all_go
from llmflowlab.service.store.service_database import database_of
from llmflowlab.serving.server import VersionFollower, bound_socket
from llmflowlab.settings import Settings, load_settings
from llmflowlab.tracking.store import child_environment

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["for_this_machine_alone", "serve", "worker_app"]

_GOODBYE = 25.0
"""Seconds that a process beside the service has for what is on its way."""
_SILENT = 1.0
"""Seconds after which a person is told what is waited for."""
_STARTED_AGAIN, _LONGEST_PAUSE = 5.0, 300.0
"""Seconds after which one that ended by itself is started again: they double from the first to the longest."""
_STARTED_IN = 120
_TURN = 0.0005
"""Seconds after which a thread that works lets another one."""


def serve(
    lab: Lab,
    setup: ServiceSetup,
    *,
    host: str,
    port: int,
    workers: int,
    ready: Callable[[str, list[str]], None],
    version: Servable | None = None,
    every: float = 10.0,
    scoring: ScoringRequest | None = None,
    tell: Callable[[str], None] = print,
) -> None:
    """Serve until Ctrl-C or SIGTERM; answers under way are brought to their end.

    Args:
        lab: The parts.
        setup: Which models, and what holds.
        host: Where to listen.
        port: Likewise; 0 takes a free one.
        workers: Processes.
        ready: Told once at which address which models answer.
        version: A registered version to serve, first of all models; its alias is followed.
        every: Seconds between two looks at the alias.
        scoring: How answers are to be scored in the background; None: not at all.
        tell: Told what becomes of the version, and what the end waits for, a sentence at a time.

    Raises:
        InputError: A model, a prompt, a policy or the database's address cannot be used, or the port is
            taken.
        ConfigurationError: Something is lacking: a key of a provider, a price, a key of the service.
        TrackingError: The database failed.
    """
    import uvicorn

    setup = replace(setup, loopback=for_this_machine_alone(host))
    names = _checked(lab, setup, host)
    if scoring is not None:
        found, remarks = online_scoring(lab, scoring, names)
        setup = replace(setup, scoring=found)
        for remark in remarks:
            tell(remark)
    if version is not None and workers > 1:
        raise InputError("A registered version is served by one worker, which follows its alias.")
    listening = bound_socket(host, port)
    with contextlib.ExitStack() as stack:
        stack.enter_context(listening)
        follower = None
        if version is not None:
            require_configured(lab, version)
            tell(f"Loading {version.version.reference} ...")
            follower = VersionFollower(
                lab.settings, version.wanted, version.version, every=every, tell=tell
            )
            stack.callback(follower.stop)
            names.insert(0, str(version.wanted))
        if workers > 1:
            folder = tempfile.mkdtemp(prefix="llmflowlab-measures-")
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            # prometheus_client looks there when it is imported, in each worker.
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
            setup = replace(setup, measured_in=folder)
        stack.enter_context(
            _beside(lab.settings, "courier", tell, "Bringing the last answers to MLflow ...")
        )
        if setup.scoring is not None:
            # Ended first: what it has scored by then is still brought to MLflow.
            stack.enter_context(
                _beside(
                    lab.settings,
                    "scoring.answer_scorer",
                    tell,
                    "Ending the scores that are under way ...",
                    order=setup.scoring.to_json(),
                )
            )
        shown = f"[{host}]" if ":" in host else host
        config = uvicorn.Config(
            partial(worker_app, setup, follower),
            factory=True,
            http=ImpatientProtocol,
            workers=workers,
            access_log=False,
            log_config=None,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEPT,
            timeout_graceful_shutdown=int(setup.limits.drain) + 10,
            timeout_worker_healthcheck=_STARTED_IN,
        )
        told = partial(ready, f"http://{shown}:{listening.getsockname()[1]}", names)
        if workers > 1:
            _run_several(config, listening, told)
        else:
            _run_one(config, listening, told)


def worker_app(setup: ServiceSetup, follower: VersionFollower | None = None) -> ASGIApp:
    """Build the application in a worker; the configuration is read from the environment it inherits."""
    logging.basicConfig(
        stream=sys.stderr, format="%(levelname)s: %(message)s", level=logging.WARNING
    )
    # The database's thread must not hold up the loop by the 5 ms that are usual.
    sys.setswitchinterval(_TURN)
    # Its errors are answered, and its own log would hold what clients sent.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    if (parent := multiprocessing.parent_process()) is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    return build_app(Lab(load_settings(stdin_is_terminal=False)), setup, follower)


def _end_with(sentinel: int) -> None:
    """End in order when the process that keeps the workers has ended, however it did."""
    multiprocessing.connection.wait([sentinel])
    signal.raise_signal(signal.SIGTERM)


def for_this_machine_alone(host: str) -> bool:
    """Tell whether nobody but this machine reaches what listens there."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return on_this_machine(host)
    # At 0.0.0.0 a client of this machine finds it, and one of any other as well.
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _checked(lab: Lab, setup: ServiceSetup, host: str) -> list[str]:
    """Find out before anything listens what would not work; returns the models' names."""
    with database_of(lab.settings) as connection:
        if connection.dialect.name == "sqlite":
            # On this machine alone: who held a session here and was killed is gone.
            let_all_go(connection)
        any_key = any(key.revoked_ms is None for key, _ in keys_made(connection))
    if not setup.loopback and not any_key:
        raise ConfigurationError(
            f"Without a key the service listens on this machine alone, and {host} is reached from others; "
            f"make one with `{program_name()} serve keys make NAME`."
        )
    capped = setup.limits.daily_usd is not None
    prompts = prompts_of(lab, setup.wanted)
    found = offers(
        lab, setup.wanted, start=setup.start, capped=capped, prompts=prompts, working=False
    )
    for provider in {offer.provider for offer in found}:
        provider.close()
    return [offer.name for offer in found]


def _run_one(config: object, listening: socket.socket, told: Callable[[], None]) -> None:
    import uvicorn

    class Told(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            if self.started:
                await asyncio.to_thread(told)

    assert isinstance(config, uvicorn.Config)
    server = Told(config)
    # uvicorn raises again the signals that ended it, when nothing is left that they could end.
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listening])
    finally:
        signal.signal(signal.SIGTERM, before)
    if not server.started:
        raise ConfigurationError("The service could not be started; the lines above say why.")


def _run_several(config: object, listening: socket.socket, told: Callable[[], None]) -> None:
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    assert isinstance(config, uvicorn.Config)
    listening.set_inheritable(True)

    class Told(Multiprocess):
        def init_processes(self) -> None:
            super().init_processes()
            if all(process.wait_until_ready(_STARTED_IN) for process in self.processes):
                told()

    Told(config, sockets=[listening]).run()


@contextlib.contextmanager
def _beside(
    settings: Settings,
    module: str,
    tell: Callable[[str], None],
    waited_for: str,
    *,
    order: Mapping[str, Any] | None = None,
) -> Iterator[None]:
    """Keep a process at work beside the service; it ends with this one, however that ends.

    Args:
        settings: The configuration.
        module: Of the service's, what it does.
        tell: Told what the end waits for, and that it had to be started again.
        waited_for: That, in a sentence.
        order: What it is to do, where it needs to be told.
    """
    ending, first = threading.Event(), b"" if order is None else json.dumps(order).encode() + b"\n"
    process = _started(settings, module, first)

    def watch() -> None:
        nonlocal process
        pause = _STARTED_AGAIN
        while True:
            begun = time.monotonic()
            code = process.wait()
            if time.monotonic() - begun > _LONGEST_PAUSE:
                pause = _STARTED_AGAIN
            if ending.wait(pause):
                return
            pause = min(2 * pause, _LONGEST_PAUSE)
            tell(f"The service's {module.rpartition('.')[2]} ended ({code}); it is started again.")
            process = _started(settings, module, first)

    watcher = threading.Thread(target=watch, name=module, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ending.set()
        until = time.monotonic() + _GOODBYE
        while watcher.is_alive():
            # It may have been started again just now.
            assert process.stdin is not None
            with contextlib.suppress(OSError):
                process.stdin.close()
            watcher.join(_SILENT)
            if watcher.is_alive() and waited_for:
                tell(waited_for)
                waited_for = ""
            if time.monotonic() > until:
                # What it has not done is still in the database.
                process.kill()


def _started(settings: Settings, module: str, first: bytes) -> subprocess.Popen[bytes]:
    # Ctrl-C in the terminal is for the service, which ends it in order.
    process = subprocess.Popen(
        interpreted(f"llmflowlab.service.{module}"),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        cwd=settings.home,
        env=child_environment(settings, with_lab=True),
    )
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.write(first)
        process.stdin.flush()
    return process
