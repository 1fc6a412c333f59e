"""The guide to registering an app at Microsoft or Google, with fields to copy from."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from postroom.errors import NotThere, PostroomError
from postroom.operations.guiding import PROVIDERS, guide
from postroom.web.paths import get
from postroom.web.person import callback, is_local
from postroom.web.visit import Visit

__all__ = ["ROUTES"]

_FLOWS: Final = {
    "oauth_client_credentials": "nobody: the app itself",
    "oauth_authorization_code": "a person, in a browser",
    "oauth_device_flow": "a person, with a code",
}


async def _guide(visit: Visit) -> Response:
    provider = visit["provider"]
    if provider not in PROVIDERS:
        raise NotThere(
            "There is no such guide.", hint="There is one for microsoft and one for google."
        )
    mailbox, wires = visit.query("mailbox"), visit.query("wires", "graph")
    given: dict[str, Any] = {"wires": tuple(wires.split(","))}
    if provider == "google":
        given["wires"] = ("imap", "smtp")
    if (page := callback(visit)).startswith("https:") and not is_local(visit):
        given["page"] = page
    error: PostroomError | None = None
    try:
        made = guide(
            provider, visit.query("flow"), mailboxes=(mailbox,) if mailbox else (), **given
        )
    except PostroomError as refused:
        error, made = refused, guide(provider)
    known = [
        (name, word) for name, word in _FLOWS.items() if provider == "microsoft" or "code" in name
    ]
    return visit.page(
        "guide.html", guide=made, flows=known, error=error, beside=visit.query("beside") == "account",
        facts={"mailbox": mailbox, "wires": wires},
    )  # fmt: skip


ROUTES = (get("/guide/{provider}", _guide),)
