"""The service's sessions as Chainlit's history: what Chainlit calls a data layer, with nothing of its own.

The service keeps what was said by itself, so that what Chainlit would have kept is let go.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from datetime import datetime, timezone
from typing import Any
from uuid import UUID, uuid5

from chainlit.types import PageInfo, PaginatedResponse
from chainlit.user import PersistedUser
from fastapi import HTTPException

from llmflowlab.page.page_words import figures
from llmflowlab.page.service_calls import CallRefused, ServiceCalls
from llmflowlab.page.visitors import Visitors

__all__ = ["FIGURES", "SessionHistory", "element_of", "run_of", "trace_of"]

FIGURES = "AnswerFigures"
"""The element below an answer, in `public/elements/`."""
_UNDER_WAY = 300_000
"""Milliseconds in which a session's first answer has come, or never will."""
_REMEMBERED = 10_000
"""Runs of this process whose traces are remembered; a page that is loaded anew needs none."""


def run_of(trace_id: str) -> str:
    """Return the id that a trace has on the page: Chainlit wants UUIDs."""
    return str(UUID(trace_id.removeprefix("tr-")))


def trace_of(run: str) -> str:
    """Return the trace that an id on the page stands for.

    Raises:
        ValueError: It is no such id.
    """
    return f"tr-{UUID(run).hex}"


def element_of(for_id: str, session: str, props: dict[str, str]) -> dict[str, Any]:
    """Return the figures below an answer as Chainlit's element."""
    return {
        "id": str(uuid5(UUID(for_id), FIGURES)),
        "threadId": session,
        "forId": for_id,
        "type": "custom",
        "name": FIGURES,
        "display": "inline",
        "mime": "application/json",
        "props": props,
    }


class SessionHistory:
    """Answers what Chainlit asks of its data layer, for the visitor whose request it is.

    Args:
        service: Has the sessions.
        visitors: Who asks.
    """

    def __init__(self, service: ServiceCalls, visitors: Visitors) -> None:
        self._service = service
        self._visitors = visitors
        self._traces: OrderedDict[str, str] = OrderedDict()
        self._begun: OrderedDict[str, tuple[str, str, int]] = OrderedDict()

    def note(self, run: str, trace_id: str) -> None:
        """Remember which answer came of a run of this process."""
        self._traces[run] = trace_id
        while len(self._traces) > _REMEMBERED:
            self._traces.popitem(last=False)

    async def get_user(self, identifier: str) -> PersistedUser | None:
        return PersistedUser(identifier=identifier, id=identifier, createdAt=_time(0))

    async def create_user(self, user: Any) -> PersistedUser | None:
        return await self.get_user(user.identifier)

    async def upsert_feedback(self, feedback: Any) -> str:
        """Pass a thumb on.

        Returns:
            No id: what has none Chainlit does not offer to take back, which the service cannot.
        """
        run = str(feedback.forId)
        word = {
            "trace_id": self._traces.get(run) or trace_of(run),
            "thumb": "up" if feedback.value else "down",
            "comment": feedback.comment or None,
        }
        await self._service.feedback(self._visitors.key, word)
        return ""

    async def delete_feedback(self, feedback_id: str) -> bool:
        return False

    async def list_threads(self, pagination: Any, filters: Any) -> Any:
        """Return the visitor's sessions; those whose beginning has a word in it, where one is searched."""
        try:
            found = await self._service.sessions(self._visitors.key)
        except CallRefused as exc:
            self._visitors.refused(exc)
            found = []
        wanted = (filters.search or "").lower()
        begin = int(pagination.cursor or 0)
        found = [*self._just_begun({each["session_id"] for each in found}), *found]
        fitting = [each for each in found if wanted in each["title"].lower()]
        threads = [
            self._thread(each["session_id"], each["title"], each["used_ms"])
            for each in fitting[begin : begin + pagination.first]
        ]
        end = begin + len(threads)
        page = PageInfo(end < len(fitting), str(begin), str(end))
        return PaginatedResponse(pageInfo=page, data=threads)

    def _just_begun(self, known: set[str]) -> list[dict[str, Any]]:
        """Return the visitor's sessions whose first answer is under way, the newest first."""
        since = int(time.time() * 1000) - _UNDER_WAY
        for session in [s for s, (_, _, ms) in self._begun.items() if s in known or ms < since]:
            del self._begun[session]
        return [
            {"session_id": session, "title": name, "used_ms": ms}
            for session, (visitor, name, ms) in reversed(self._begun.items())
            if visitor == self._visitors.current
        ]

    async def get_thread_author(self, thread_id: str) -> str:
        turns = await self._turns(thread_id)
        return (self._visitors.current or "") if turns else ""

    async def get_thread(self, thread_id: str) -> dict[str, Any] | None:
        """Return a session with all that was said, the thumbs, and what each answer took."""
        turns = await self._turns(thread_id)
        if not turns:
            return None
        thread = self._thread(thread_id, turns[0]["query"][:100], turns[0]["made_ms"])
        for turn in turns:
            steps = self._steps(thread_id, turn)
            thread["steps"] += steps
            took = figures(turn, inference_time=turn["inference_time"])
            thread["elements"].append(element_of(steps[-1]["id"], thread_id, took))
        thread["metadata"]["model"] = turns[-1]["model"]
        return thread

    async def _turns(self, session: str) -> list[dict[str, Any]]:
        if self._visitors.current is None:
            return []
        try:
            return await self._service.turns(self._visitors.key, session)
        except CallRefused as exc:
            self._visitors.refused(exc)
            return []

    def _thread(self, session: str, name: str, ms: int) -> dict[str, Any]:
        return {
            "id": session,
            "createdAt": _time(ms),
            "name": name or "…",
            "userId": self._visitors.current,
            "userIdentifier": self._visitors.current,
            "tags": [],
            "metadata": {},
            "steps": [],
            "elements": [],
        }

    def _steps(self, session: str, turn: dict[str, Any]) -> list[dict[str, Any]]:
        run, at = run_of(turn["trace_id"]), _time(turn["made_ms"])
        query, answer = (str(uuid5(UUID(run), part)) for part in ("query", "answer"))
        base = {"threadId": session, "createdAt": at, "start": at, "end": at, "metadata": {}}
        thumb = turn["thumb"]
        said = {"value": int(thumb == "up"), "forId": run, "threadId": session, "comment": None}
        return [
            {
                **base,
                "id": query,
                "parentId": None,
                "type": "user_message",
                "name": "You",
                "output": turn["query"],
            },
            {
                **base,
                "id": run,
                "parentId": query,
                "type": "run",
                # So Chainlit calls what it lets people rate.
                "name": "on_message",
                "output": "",
                "feedback": None if thumb is None else said,
            },
            {
                **base,
                "id": answer,
                "parentId": run,
                "type": "assistant_message",
                "name": "LLMFlowLab",
                "output": turn["answer"],
                "isError": turn["state"] == "failed",
            },
        ]

    async def update_thread(
        self, thread_id: str, name: str | None = None, user_id: str | None = None, **kept: Any
    ) -> None:
        """Remember how a session began that the service has no answer of yet; let go all else."""
        if name is not None and user_id is not None:
            self._begun[thread_id] = (user_id, name[:100], int(time.time() * 1000))
            while len(self._begun) > _REMEMBERED:
                self._begun.popitem(last=False)

    async def delete_thread(self, thread_id: str) -> None:
        raise HTTPException(405, "The service keeps its sessions; none can be deleted here.")

    async def create_element(self, element: Any) -> None: ...

    async def get_element(self, thread_id: str, element_id: str) -> None: ...

    async def delete_element(self, element_id: str, thread_id: str | None = None) -> None: ...

    async def create_step(self, step_dict: Any) -> None: ...

    async def update_step(self, step_dict: Any) -> None: ...

    async def delete_step(self, step_id: str) -> None: ...

    async def get_favorite_steps(self, user_id: str) -> list[Any]:
        return []

    async def build_debug_url(self) -> str:
        return ""

    async def close(self) -> None:
        await self._service.close()


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, timezone.utc).isoformat().replace("+00:00", "Z")
