"""What happens on the page: a chat begins or goes on, something is asked, an answer is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import chainlit as cl
from chainlit.config import config
from chainlit.input_widget import TextInput
from chainlit.server import sio
from chainlit.session import WebsocketSession

from llmflowlab.page.offer_choice import Choices
from llmflowlab.page.page_words import figures, refusal_words, refused_error
from llmflowlab.page.service_calls import CallRefused, ServiceCalls
from llmflowlab.page.session_history import FIGURES, SessionHistory
from llmflowlab.page.visitors import ANYBODY, Visitors

__all__ = ["ChatHandlers"]

_TRIES = 5
"""For a session that is still held by an answer that was just stopped."""


class ChatHandlers:
    """Chainlit's callbacks.

    Args:
        service: Is asked.
        visitors: Who asks.
        history: Learns which answer a run became.
        starters: What may be asked with one click.
    """

    def __init__(
        self,
        service: ServiceCalls,
        visitors: Visitors,
        history: SessionHistory,
        starters: Sequence[str],
    ) -> None:
        self._service = service
        self._visitors = visitors
        self._history = history
        self._starters = starters

    def register(self) -> None:
        """Have Chainlit call them."""
        cl.data_layer(lambda: self._history)
        cl.on_chat_start(self.begin)
        cl.on_chat_resume(self.resume)
        cl.on_message(self.answer)
        cl.set_starters(self.starters)
        cl.header_auth_callback(self.anybody)
        cl.password_auth_callback(self.sign_in)
        self._doors = (config.code.header_auth_callback, config.code.password_auth_callback)
        # In place of Chainlit's own, which adds a message that nobody wrote.
        sio.on("stop", stop)

    def open_doors(self) -> None:
        """Ask for a key where the service does, and let anybody in where it does not."""
        header, password = self._doors
        keyed = self._visitors.keyed
        config.code.header_auth_callback = None if keyed else header
        config.code.password_auth_callback = password if keyed else None

    async def anybody(self, headers: Any) -> Any:
        return None if self._visitors.keyed else cl.User(identifier=ANYBODY, display_name="You")

    async def sign_in(self, username: str, password: str) -> Any:
        try:
            visitor = await self._visitors.sign_in(password.strip())
        except CallRefused:
            return None
        if visitor is None:
            return None
        return cl.User(identifier=visitor, display_name=username.strip()[:100] or "You")

    async def starters(self, user: Any = None, language: Any = None) -> list[Any]:
        return [cl.Starter(label=text, message=text) for text in self._starters]

    async def begin(self) -> None:
        await cl.send_window_message({"chat": "/"})
        await self._offer(None)

    async def resume(self, thread: Any) -> None:
        await self._offer((thread.get("metadata") or {}).get("model"))

    async def _offer(self, chosen: str | None) -> None:
        try:
            choices = Choices(await self._service.models(self._visitors.key))
        except CallRefused as exc:
            await self._refuse(cl.Message(content=""), exc)
            return
        cl.user_session.set("choices", choices)
        names = {"model": "Model", "prompt": "Prompt"}
        modes = [
            cl.Mode(
                id=kind,
                name=names[kind],
                options=[
                    cl.ModeOption(
                        id=pick.id, name=pick.name, description=pick.about, default=pick.chosen
                    )
                    for pick in picks
                ],
            )
            for kind, picks in choices.pickers(chosen).items()
        ]
        await cl.context.emitter.set_modes(modes)
        if choices.inputs:
            await cl.ChatSettings(
                [TextInput(id=name, label=name) for name in choices.inputs]
            ).send()

    async def answer(self, message: Any) -> None:
        """Ask, show what comes as it comes, and what it took below it."""
        answering = _Answering(self._history)
        choices = cl.user_session.get("choices") or Choices(())
        session = cl.context.session.thread_id
        await cl.send_window_message({"chat": f"/thread/{session}"})
        try:
            offer = choices.chosen(message.modes or {})
            values = choices.filled(offer, cl.user_session.get("chat_settings") or {})
        except ValueError as exc:
            await self._refuse(answering.message, CallRefused("model_not_found", str(exc)))
            return
        body = {
            "query": message.content,
            "session_id": session,
            "model": offer,
            **({"custom_inputs": values} if values else {}),
        }
        try:
            await self._asked(body, answering)
        except asyncio.CancelledError:
            # Stopped. The line is closed by now; what the service kept has the figures.
            await answering.finish(await self._kept(session, answering.trace_id))
        except CallRefused as exc:
            await self._refuse(answering.message, exc)

    async def _asked(self, body: dict[str, Any], answering: _Answering) -> None:
        for left in reversed(range(_TRIES)):
            try:
                async for name, data in self._service.chat(self._visitors.key, body):
                    await answering.take(name, data)
                break
            except CallRefused as exc:
                if exc.code != "session_busy" or not left:
                    raise
                await asyncio.sleep(exc.retry_after or 1.0)
        if answering.document is not None:
            await answering.finish(
                figures(
                    answering.document,
                    inference_time=answering.document["latency"]["inference_time"],
                )
            )
        if answering.refusal is not None:
            whole = answering.document is None
            await self._refuse(
                answering.message if whole else cl.Message(content=""), answering.refusal
            )
        elif answering.document is None:
            raise CallRefused("unreachable", "the line broke before the answer's end")

    async def _kept(self, session: str, trace_id: str | None) -> dict[str, str]:
        """Return what a stopped answer took, once the service has kept it."""
        for _ in range(_TRIES if trace_id else 0):
            try:
                turns = await self._service.turns(self._visitors.key, session)
            except CallRefused:
                break
            if turns and turns[-1]["trace_id"] == trace_id:
                return figures(turns[-1], inference_time=turns[-1]["inference_time"])
            await asyncio.sleep(0.3)
        return {"line": "Stopped", "state": "interrupted"}

    async def _refuse(self, message: Any, refusal: CallRefused) -> None:
        self._visitors.refused(refusal)
        message.content = refusal_words(refusal)
        message.is_error = True
        # Apart from what can be rated: there is no answer.
        message.parent_id = None
        await message.send()


class _Answering:
    """An answer on its way to the page."""

    def __init__(self, history: SessionHistory) -> None:
        self._history = history
        self._thinking: Any = None
        self.message = cl.Message(content="")
        self.trace_id: str | None = None
        self.document: dict[str, Any] | None = None
        self.refusal: CallRefused | None = None

    async def take(self, name: str, data: dict[str, Any]) -> None:
        """Take an event of the service's stream."""
        if name == "start":
            self.trace_id = data["trace_id"]
            run = cl.context.current_run
            self._history.note(run.id, data["trace_id"])
        elif name == "thinking":
            await self._think(data["text"])
        elif name == "delta":
            await self._thought()
            await self.message.stream_token(data["text"])
        elif name == "withdrawn":
            before, self.message.content = self.message.content, ""
            await self.message.update()
            await self._think(before)
        elif name == "error":
            self.refusal = refused_error(data)
        elif name == "done":
            self.document = data
            self.message.content = data["answer"]

    async def finish(self, took: dict[str, str]) -> None:
        """Show the answer as it stays, with its figures below."""
        await self._thought()
        self.message.elements = [
            cl.CustomElement(name=FIGURES, props=took, display="inline"),
        ]
        await self.message.send()

    async def _think(self, text: str) -> None:
        if self._thinking is None:
            self._thinking = cl.Step(name="Thinking", type="llm", show_input=False)
            await self._thinking.__aenter__()
        await self._thinking.stream_token(text)

    async def _thought(self) -> None:
        if self._thinking is not None:
            await self._thinking.__aexit__(None, None, None)
            self._thinking = None


async def stop(sid: str) -> None:
    """End what is under way for a browser; `answer` closes the line to the service."""
    session = WebsocketSession.get(sid)
    if session is not None and session.current_task is not None:
        session.current_task.cancel()
