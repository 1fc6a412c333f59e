"""What the page is dressed with: read once, under names that change with what is in them."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

__all__ = ["HTMX", "answer", "static"]

HTMX: Final = "htmx-2.0.11.min.js"
_OURS: Final = {
    "page.css": "text/css",
    "work.css": "text/css",
    "page.js": "text/javascript",
    "mark.svg": "image/svg+xml",
}
_FOREVER: Final = "public, max-age=31536000, immutable"
_FOLDER: Final = Path(__file__).parent / "static"


class _File(NamedTuple):
    kind: str
    body: bytes
    packed: bytes


def static(name: str) -> str:
    """The path of a file in the page, with its version in the name."""
    return f"/static/{_named(name)}"


async def answer(request: Request) -> Response:
    """One file; packed where the browser takes that."""
    found = _files().get(request.path_params["name"])
    if found is None:
        return Response("Not found", status_code=404, media_type="text/plain")
    headers = {"Cache-Control": _FOREVER, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(
            found.packed, media_type=found.kind, headers={**headers, "Content-Encoding": "gzip"}
        )
    return Response(found.body, media_type=found.kind, headers=headers)


@cache
def _named(name: str) -> str:
    if name not in _OURS:
        return name
    stem, _, end = name.rpartition(".")
    return f"{stem}-{hashlib.sha256((_FOLDER / name).read_bytes()).hexdigest()[:12]}.{end}"


@cache
def _files() -> dict[str, _File]:
    kinds = {**_OURS, HTMX: "text/javascript"}
    found = {}
    for name, kind in kinds.items():
        body = (_FOLDER / name).read_bytes()
        found[_named(name)] = _File(kind, body, gzip.compress(body, 9, mtime=0))
    return found
