"""`python -m llmflowlab.page.page_server JSON`: the page's own process, which `page_process` starts.

It says `{"address": ...}`, or `{"error": ...}`, on standard output once, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import socket
import sys
import threading
from typing import Any

__all__ = ["main"]


def main(argument: str) -> int:
    """Serve the page until standard input ends; returns the exit code."""
    told: dict[str, Any] = json.loads(argument)
    # Chainlit looks for its settings in its environment while it is imported.
    import uvicorn
    from chainlit.auth.jwt import decode_jwt
    from chainlit.config import config
    from chainlit.server import app

    from llmflowlab.page.chat_handlers import ChatHandlers
    from llmflowlab.page.page_gate import PageGate
    from llmflowlab.page.service_calls import ServiceCalls
    from llmflowlab.page.session_history import SessionHistory
    from llmflowlab.page.visitors import Visitors

    logging.basicConfig(level=logging.ERROR, stream=sys.stderr, format="page: %(message)s")
    service = ServiceCalls(told["service"])
    visitors = Visitors(service, near=told["near"])
    handlers = ChatHandlers(service, visitors, SessionHistory(service, visitors), told["starters"])
    handlers.register()
    visitors.on_look = handlers.open_doors
    handlers.open_doors()
    config.run.headless = True
    # As the browser's system has it.
    config.ui.default_theme = "system"

    def visitor_of(token: str) -> str | None:
        try:
            return str(decode_jwt(token).identifier)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, it names nobody
            return None

    gate = PageGate(app, visitors, visitor_of, cookie=told["cookie"], hosts=told["hosts"])
    host, port = told["host"], told["port"]
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as exc:
        _say({"error": f"{host} cannot be listened at with port {port} ({exc.strerror})"})
        return 1
    settings = uvicorn.Config(
        gate,
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )

    class Told(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            if self.started:
                await asyncio.to_thread(_say, {"port": listening.getsockname()[1]})

    threading.Thread(target=_end_with_input, daemon=True).start()
    Told(settings).run(sockets=[listening])
    return 0


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    signal.raise_signal(signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
