"""Problems: what is answered instead (RFC 9457), from the one tree of errors; never a value that came in."""

from __future__ import annotations

import json
import secrets
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from postroom.errors import CODES, NotThere, PostroomError, Refused, WrongUse
from postroom.log import about, logger
from postroom.operations.documents import told_of

__all__ = ["JSON", "MEDIA", "as_json", "of_mistake", "of_starlette", "problem", "problem_of"]

JSON: Final = "application/json"
MEDIA: Final = "application/problem+json"
_log = logger("api")


def as_json(document: Any) -> bytes:
    """A document as bytes, in ASCII: whatever a server far away said can be written."""
    return json.dumps(document, allow_nan=False, separators=(",", ":")).encode("ascii")


def problem_of(error: PostroomError) -> dict[str, Any]:
    """An error as a problem: type, title, status, code, hint, temporary, kind, facts."""
    told = told_of(error)
    title = told.pop("error")
    return {
        "type": f"urn:postroom:error:{error.code}",
        "title": title,
        "status": CODES[error.code].http,
        **told,
    }


def problem(error: PostroomError) -> Response:
    """The answer that tells an error."""
    told = problem_of(error)
    headers = {}
    if told["status"] == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="postroom"'
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return Response(as_json(told), told["status"], headers, MEDIA)


def of_starlette(_request: Request, error: Exception) -> Response:
    """No such place, no such method: said as every error is."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 404:
        return problem(NotThere("There is nothing at this address."))
    if status == 405:
        answer = problem(WrongUse("That cannot be done here.", code="no_such_method"))
        headers = error.headers if isinstance(error, HTTPException) else None
        answer.headers.update(headers or {})
        return answer
    return problem(WrongUse("The request is not understood.", code="malformed"))


def of_mistake(request: Request, error: Exception) -> Response:
    """A mistake of ours: an id that stands in the log beside what happened, and no trace."""
    number = secrets.token_hex(6)
    _log.error(
        "mistake %s: %s %s",
        number,
        request.method,
        getattr(request.scope.get("route"), "path", ""),
        exc_info=error,
        extra=about(id=number),
    )
    return problem(
        Refused(
            f"That went wrong here: it is mistake {number} in the log of the room.",
            code="mistake",
            hint="Whoever runs the room finds in the log what happened.",
            id=number,
        )
    )
