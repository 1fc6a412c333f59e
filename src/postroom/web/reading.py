"""A message in a page: its head, a frame for its text, its files to save, its original."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from starlette.responses import HTMLResponse, Response

from postroom.errors import NotThere
from postroom.operations.messages import MessageView, message_view
from postroom.web.safely import (
    DOWNLOAD,
    FRAME,
    SANDBOX,
    Shown,
    disposition,
    html_document,
    original_text,
    text_document,
)
from postroom.web.visit import Visit

__all__ = ["Letter", "answer_part", "facts_of"]

_SHOWN_HEADERS: Final = 200
_SHORT: Final = 600
_LINES: Final = 8
"""Characters and lines of a text that needs no high frame."""


@dataclasses.dataclass(frozen=True, slots=True)
class Letter:
    """A message that is read: its bytes, what is in them, and its texts made safe."""

    raw: bytes
    view: MessageView
    html: Shown | None
    text: Shown | None

    @property
    def size(self) -> int:
        """About how many bytes it takes in memory: a text may be more than the message that it is from."""
        shown = sum(len(one.document) for one in (self.html, self.text) if one is not None)
        return len(self.raw) + sum(len(one.data) for one in self.view.files) + 2 * shown

    @classmethod
    def of(cls, raw: bytes) -> Letter:
        """Of the bytes of a message; it takes time, and so belongs into a thread."""
        view = message_view(raw)
        pictures = {
            one.content_id: (one.content_type, one.data) for one in view.files if one.content_id
        }
        return cls(
            raw,
            view,
            None if view.html is None else html_document(view.html, pictures),
            None if view.text is None else text_document(view.text),
        )


def facts_of(letter: Letter, base: str, query: str = "") -> dict[str, Any]:
    """What the page of a message shows; its parts are at ``base``/message/PART?``query``."""
    text = (letter.view.text or "").strip()
    return {
        "message": letter.view,
        "headers": letter.view.headers[:_SHOWN_HEADERS],
        "html": letter.html,
        "text": letter.text,
        "sandbox": SANDBOX,
        "short": bool(text) and len(text) <= _SHORT and text.count("\n") <= _LINES,
        "part_at": lambda part: f"{base}/message/{part}{f'?{query}' if query else ''}",
    }


def answer_part(visit: Visit, letter: Letter, part: str) -> Response:
    """One part: ``html``, ``text``, ``original`` (the whole message, as a page of text), ``raw`` (to
    save), or a file's number.

    Raises NotThere.
    """
    if part in ("html", "text"):
        shown = letter.html if part == "html" else letter.text
        if shown is not None:
            return HTMLResponse(shown.document, headers=FRAME)
    elif part == "original":
        text, cut = original_text(letter.raw)
        return visit.page("messages/original.html", original=text, cut=cut)
    elif part == "raw":
        return _saved("message.eml", letter.raw)
    else:
        for one in letter.view.files:
            if part == str(one.number):
                return _saved(one.file_name, one.data)
    raise NotThere("The message has no such part.", hint="Open the message anew.")


def _saved(name: str, data: bytes) -> Response:
    headers = {**DOWNLOAD, "Content-Disposition": disposition(name)}
    return Response(data, media_type="application/octet-stream", headers=headers)
