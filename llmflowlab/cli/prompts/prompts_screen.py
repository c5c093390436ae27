"""The screen of the prompts: choose one and what to do with it, or compare several on a model."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress

from llmflowlab.cli.chat.chat_command import followed
from llmflowlab.cli.chat.chat_screen import converse, say_farewell
from llmflowlab.cli.chat.prompt import prompt_reader
from llmflowlab.cli.chat.talk import Talk
from llmflowlab.cli.context import App
from llmflowlab.cli.evaluate.evaluate_questions import options_parser
from llmflowlab.cli.evaluate.evaluation_options import evaluation_request
from llmflowlab.cli.evaluate.live_view import watched
from llmflowlab.cli.evaluate.show_evaluation import describe_plan, show_result
from llmflowlab.cli.going_back import going_back
from llmflowlab.cli.model_choice import choose_model, choose_models
from llmflowlab.cli.options import read_whole
from llmflowlab.cli.prompts.editing import edited
from llmflowlab.cli.prompts.show_prompts import (
    alias_words,
    show_prompt,
    show_prompts,
    synced_words,
)
from llmflowlab.cli.ui.screen import Choice, GoBack
from llmflowlab.errors import InputError, LabError
from llmflowlab.lab.chat_session import Chat
from llmflowlab.lab.evaluate import prepare
from llmflowlab.lab.evaluation_request import EvaluationRequest
from llmflowlab.lab.prompts import SUPPORT_DESK, PromptShelf, RegisteredPrompt
from llmflowlab.lab.prompts_in_use import prompt_in_use

__all__ = ["prompts_screen"]

_FEW = "20"
"""Questions of a comparison unless more are asked for: the model inside takes seconds for one."""


def prompts_screen(app: App) -> None:
    """Show the prompts until the person goes back.

    Raises:
        EndOfInput: Standard input ended.
        TrackingError: The store failed.
    """
    with app.screen.progress("prompts"):
        shelf = PromptShelf(app.lab)
    shown = None
    while True:
        prompts = shelf.prompts()
        if prompts != shown:
            # What was asked for stays on the screen where nothing changed.
            show_prompts(app.screen, prompts)
        shown = prompts
        choices: list[Choice[str | Callable[[], None] | None]] = [
            Choice(f"{prompt.name} (version {prompt.latest})", prompt.name, names=(prompt.name,))
            for prompt in prompts
        ]
        if len(prompts) > 1:
            choices.insert(
                0, Choice("Compare prompts on models", lambda: _compare(app, shelf), ("compare",))
            )
        choices += [
            Choice("Register the starting set", lambda: _sync(app, shelf), ("sync",)),
            Choice("Write a new prompt", lambda: _new(app, shelf), ("new",)),
            Choice("Back", None, ("back", "exit")),
        ]
        chosen = app.screen.select("Which prompt?", choices)
        if chosen is None:
            return
        try:
            with suppress(GoBack):
                if isinstance(chosen, str):
                    _prompt(app, shelf, chosen)
                else:
                    chosen()
        except LabError as exc:
            app.screen.warn(exc.message)


def _sync(app: App, shelf: PromptShelf) -> None:
    synced_words(app.screen, shelf.sync())


def _new(app: App, shelf: PromptShelf) -> None:
    name = app.screen.text("Its name", check=lambda t: None if t.strip() else "Give it a name.")
    _edit(app, shelf, name.strip())


def _edit(app: App, shelf: PromptShelf, name: str) -> None:
    made = edited(app, shelf, name)
    app.screen.say("Nothing changed." if made is None else f"{made.reference} is written.")


def _prompt(app: App, shelf: PromptShelf, name: str) -> None:
    versions = shelf.versions(name)
    prompt = shelf.load(f"{name}@{versions[0].version}")
    show_prompt(app.screen, prompt, versions)
    actions: list[Choice[Callable[[], None] | None]] = [
        Choice("Try it on a model", lambda: _try(app, prompt), ("try", "chat")),
        Choice("Fill it in", lambda: _render(app, prompt), ("render",)),
        Choice("Edit it", lambda: _edit(app, shelf, name), ("edit",)),
        Choice("Compare two versions", lambda: _diff(app, shelf, versions), ("diff",)),
        Choice("Set an alias", lambda: _alias(app, shelf, versions), ("alias",)),
        Choice("Back", None, ("back",)),
    ]
    todo = app.screen.select(f"What about {name}?", actions)
    if todo is not None:
        todo()


def _values(app: App, names: tuple[str, ...]) -> dict[str, str]:
    return {name: app.screen.text(f"{name} =") for name in names}


def _render(app: App, prompt: RegisteredPrompt) -> None:
    values = _values(app, prompt.template.variables)
    app.screen.say(prompt.template.rendered(values).to_text())


def _try(app: App, prompt: RegisteredPrompt) -> None:
    """Talk with a model that is given the prompt."""
    values = _values(app, prompt.template.asked_for)
    used = prompt_in_use(app.lab, prompt.reference, values)
    chat = Chat(app.lab, choose_model(app), prompt=used, watch=followed(app, used))
    try:
        converse(Talk(app, chat), prompt_reader(app, leaving="goes back to the prompts"))
    finally:
        chat.close()
        chat.provider.close()
        say_farewell(app, chat)


def _diff(app: App, shelf: PromptShelf, versions: list[RegisteredPrompt]) -> None:
    if len(versions) < 2:
        app.screen.say("There is one version only.")
        return
    choices = [Choice(v.reference, v, (str(v.version),)) for v in versions]
    newer = app.screen.select("Which version?", choices)
    older = app.screen.select("With which one?", [c for c in choices if c.value != newer])
    _, _, lines = shelf.diff(newer.name, str(older.version), str(newer.version))
    app.screen.say(lines or "They say the same.")


def _alias(app: App, shelf: PromptShelf, versions: list[RegisteredPrompt]) -> None:
    choices = [Choice(v.reference, v, (str(v.version),)) for v in versions]
    version = app.screen.select("Which version?", choices)
    alias = app.screen.text(
        "Which alias?", check=lambda t: None if t.strip() else "A name, such as production."
    )
    done = shelf.set_alias(version.name, alias.strip(), version.version)
    app.screen.say(alias_words(done))


def _compare(app: App, shelf: PromptShelf) -> None:
    """Ask which prompts, on which models, on how many questions; evaluate and say which is better."""
    said = going_back(app, lambda: _asked(app, shelf))
    with closing(prepare(app.lab, said)) as prepared:
        for remark in prepared.remarks:
            app.screen.note(remark)
        for line in describe_plan(prepared.plan, prepared.estimate):
            app.screen.say(line)
        if not app.screen.confirm("Start?", default=True):
            app.screen.say("Nothing was sent.")
            return
        result = watched(app.screen, prepared)
    show_result(app.screen, result, recorded=False)


def _asked(app: App, shelf: PromptShelf) -> EvaluationRequest:
    names = [Choice(p.name, p.name, (p.name,)) for p in shelf.prompts()]
    said = options_parser().parse_args([])
    said.prompt = app.screen.checkbox("Which prompts?", names)
    if len(said.prompt) < 2:
        app.screen.warn("Choose two or more.")
        raise GoBack
    said.model = choose_models(app, "On which models?", first=[])
    said.data = SUPPORT_DESK

    def wrong(text: str) -> str | None:
        try:
            read_whole(text)
        except InputError as exc:
            return exc.message
        return None

    said.sample = read_whole(
        app.screen.text("How many of the support desk's questions?", default=_FEW, check=wrong)
    )
    return evaluation_request(said)
