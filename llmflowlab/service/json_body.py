"""A request's body as JSON values."""

from __future__ import annotations

import json
from typing import Any

from fastapi import Request

from llmflowlab.service.http_refusals import HttpRefusal

__all__ = ["json_body"]


async def json_body(request: Request) -> Any:
    """Return it; NaN and Infinity are no JSON.

    Raises:
        HttpRefusal: It is none.
    """
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise HttpRefusal("bad_request", "Send JSON, with Content-Type: application/json.")
    raw = await request.body()
    try:
        return json.loads(raw, parse_constant=_no_number)
    except (ValueError, RecursionError) as exc:
        raise HttpRefusal("bad_request", f"The body is no JSON{_where(exc)}.") from exc


def _no_number(name: str) -> Any:
    raise ValueError(name)


def _where(exc: Exception) -> str:
    return (
        f" ({exc.msg} at character {exc.pos + 1})" if isinstance(exc, json.JSONDecodeError) else ""
    )
