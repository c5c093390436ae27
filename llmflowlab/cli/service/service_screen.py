"""The service's screen: who answers, where, with which keys; and the service itself, until Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass, replace
from types import FrameType

from llmflowlab.cli.context import App
from llmflowlab.cli.mlflow_ui import free_port
from llmflowlab.cli.model_choice import choose_reference
from llmflowlab.cli.service import service_keys
from llmflowlab.cli.ui.screen import Choice, GoBack
from llmflowlab.errors import LabError
from llmflowlab.files import require_home
from llmflowlab.page.page_process import require_chainlit
from llmflowlab.program import interpreted

__all__ = ["service_screen"]

_PATIENCE = 60.0
"""Seconds that the service has to end in order where this program is told to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What would be started."""

    model: str | None = None
    """A model reference, or a registered version's name; None: nobody was chosen yet."""
    registered: bool = False
    port: int = 8000
    page: bool = False
    """Whether a chat page is opened beside it."""

    @property
    def options(self) -> tuple[str, ...]:
        who = "--registered" if self.registered else "--model"
        page = ("--page",) if self.page else ()
        return (who, str(self.model), "--port", str(self.port), *page)


def service_screen(app: App) -> None:
    """Show the service until the person goes back.

    Raises:
        EndOfInput: Standard input ended.
        LabError: The service's database cannot be used.
    """
    require_home(app.settings)
    plan = _Plan()
    while True:
        keys = service_keys.all_keys(app.settings)
        service_keys.show(app.screen, keys)
        holding = [key for key in keys if key.revoked_ms is None]
        choices: list[Choice[str]] = [
            Choice("Start it here (Ctrl-C ends it and brings you back)", "start", names=("start",)),
            Choice(f"Who answers: {plan.model or 'asked at the start'}", "who", names=("who",)),
            Choice(f"Port: {plan.port}", "port", names=("port",)),
            Choice("Watch its traffic", "watch", names=("watch", "monitor")),
            Choice(
                f"Chat page in the browser: {'yes' if plan.page else 'no'}", "page", names=("page",)
            ),
            Choice("Make a key", "make", names=("make",)),
            Choice("Revoke a key", "revoke", names=("revoke",))
            if holding
            else Choice("Revoke a key", "revoke", disabled="there is none"),
            Choice("Back", "back", names=("back", "exit")),
        ]
        todo = app.screen.select("The service:", choices)
        if todo == "back":
            return
        try:
            with suppress(GoBack):
                if todo == "make":
                    name = app.screen.text("Name of the key", check=_name_fault)
                    service_keys.say_made(app.screen, *service_keys.make(app.settings, name))
                elif todo == "revoke":
                    named = [Choice(f"{k.name} ({k.id})", k.id, names=(k.name,)) for k in holding]
                    chosen = app.screen.select("Which key?", named)
                    service_keys.say_revoked(app.screen, service_keys.revoke(app.settings, chosen))
                elif todo == "port":
                    typed = app.screen.text("Port", default=str(plan.port), check=_port_fault)
                    plan = replace(plan, port=int(typed))
                elif todo == "page":
                    if not plan.page:
                        require_chainlit()
                    plan = replace(plan, page=not plan.page)
                elif todo == "who":
                    plan = _who(app, plan)
                elif todo == "watch":
                    # Imported here: hardly anybody who starts a service watches it from this screen.
                    from llmflowlab.cli.monitor.live_traffic import watch_from_menu

                    watch_from_menu(app)
                else:
                    plan = plan if plan.model else _who(app, plan)
                    _start(app, plan)
        except LabError as exc:
            app.screen.warn(exc.message)


def _who(app: App, plan: _Plan) -> _Plan:
    """Ask for a model or a registered version; Esc in a later question asks the first one again."""
    while True:
        kind = app.screen.select(
            "Who answers?",
            [
                Choice("A model", "model", names=("model",)),
                Choice("A registered version", "version", names=("version", "registered")),
            ],
        )
        with suppress(GoBack):
            if kind == "model":
                model = choose_reference(app, "Which model answers?")
                return replace(plan, model=model, registered=False)
            if (version := _version(app)) is not None:
                return replace(plan, model=version, registered=True)


def _version(app: App) -> str | None:
    # Imported here: it loads MLflow.
    from llmflowlab.lab.model_registry import Registry

    with app.screen.progress("registry"):
        models = Registry(app.lab).models()
    choices: list[Choice[str]] = []
    for model in models:
        held = [
            Choice(
                f"{model.name}@{alias} (version {number}; the alias is followed)",
                f"{model.name}@{alias}",
                names=(f"{model.name}@{alias}",),
            )
            for alias, number in sorted(model.aliases.items())
        ]
        choices += held
        choices += [Choice(version.reference, version.reference) for version in model.versions]
    if not choices:
        app.screen.say("No model is registered yet: the first chat with an answer registers one.")
        return None
    return app.screen.select("Which version answers?", choices)


def _start(app: App, plan: _Plan) -> None:
    """Run the service in a process of its own, which has this terminal until it ends."""
    port = free_port(plan.port)
    if port != plan.port:
        app.screen.note(f"Port {plan.port} is taken; using {port}.")
    app.screen.note("starting the service; this takes a moment ...")
    # What a service leaves in its process (an event loop, logs, measures) is nothing for the menu's.
    # Ctrl-C reaches it by the terminal; here it is only waited for, and not handed down as ignored.
    before = signal.signal(signal.SIGINT, lambda signum, frame: None)
    term = signal.signal(signal.SIGTERM, _told_to_end)
    process = subprocess.Popen(
        interpreted("llmflowlab", "serve", *replace(plan, port=port).options),
        stdin=subprocess.DEVNULL,
        env=app.lab.program_environment,
    )
    try:
        process.wait()
    finally:
        process.terminate()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        signal.signal(signal.SIGTERM, term)
        signal.signal(signal.SIGINT, before)
    if process.returncode == 0:
        app.screen.say("The service has ended.")


def _told_to_end(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + signum)


def _name_fault(text: str) -> str | None:
    return None if text.strip() else "A key needs a name, such as that of who gets it."


def _port_fault(text: str) -> str | None:
    return None if text.isdecimal() and 0 < int(text) < 65536 else "A port is from 1 to 65535."
