"""What the service's addresses say of themselves: their OpenAPI document, and what goes wrong."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException

from llmflowlab.errors import LabError
from llmflowlab.service.entrance import BEARER, state_of
from llmflowlab.service.front_gate import refused
from llmflowlab.service.http_refusals import HttpRefusal, refusal_of

__all__ = ["DescribedApi", "explain_failures"]

_OPEN = frozenset({"/health", "/ready", "/metrics"})


class DescribedApi(FastAPI):
    """Describes refusals of every address in its OpenAPI document, and who needs a key."""

    def openapi(self) -> dict[str, Any]:
        """Return the document, which is made once."""
        if self.openapi_schema is None:
            found = get_openapi(
                title=self.title, version=self.version, summary=self.summary, routes=self.routes
            )
            found.setdefault("components", {})["securitySchemes"] = {
                "HTTPBearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": BEARER.model.description,
                }
            }
            for path, methods in found["paths"].items():
                for operation in methods.values():
                    operation.get("responses", {}).pop("422", None)
                    if path not in _OPEN:
                        operation["security"] = [{"HTTPBearer": []}, {}]
            self.openapi_schema = found
        return self.openapi_schema


def explain_failures(app: FastAPI) -> None:
    """Have whatever goes wrong answered with a refusal."""

    @app.exception_handler(HttpRefusal)
    async def refuse(request: Request, exc: HttpRefusal) -> Any:
        return refused(state_of(request), exc)

    @app.exception_handler(LabError)
    @app.exception_handler(Exception)
    async def broken(request: Request, exc: Exception) -> Any:
        return refused(state_of(request), refusal_of(exc))

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, exc: RequestValidationError) -> Any:
        first: dict[str, Any] = dict(exc.errors()[0])
        if first.get("type") == "json_invalid":
            said = f"The body is no JSON (at character {first['loc'][-1] + 1})."
            return refused(state_of(request), HttpRefusal("bad_request", said))
        place = ".".join(str(part) for part in first.get("loc", ()) if part != "body")
        message = str(first.get("msg", "it cannot be understood")).removeprefix("Value error, ")
        said = f"{place}: {message}." if place else f"The body cannot be understood: {message}."
        return refused(
            state_of(request), HttpRefusal("bad_request", said[:1000], param=place[:200] or None)
        )

    @app.exception_handler(HTTPException)
    async def failed(request: Request, exc: HTTPException) -> Any:
        if exc.status_code == 405:
            refusal = HttpRefusal("method_not_allowed", "Another method is meant for this address.")
            response = refused(state_of(request), refusal)
            response.headers.update(exc.headers or {})
            return response
        if exc.status_code == 404:
            return refused(
                state_of(request), HttpRefusal("not_found", "There is nothing at this address.")
            )
        return refused(
            state_of(request), HttpRefusal("bad_request", "The request cannot be understood.")
        )
