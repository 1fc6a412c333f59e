"""Files of a draft: small ones in one request, large ones by upload session, streamed from disk."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from typing import IO, Any, Final

from postroom.clock import monotonic
from postroom.errors import InvalidValue, PostroomError, ProtocolError, WireError
from postroom.net.http import HttpClient
from postroom.net.http_message import HttpAnswer
from postroom.net.origin import Origin, split_url
from postroom.protocols.graph.composing import IN_ONE
from postroom.protocols.graph.parts import Leaf
from postroom.protocols.graph.refusals import refusal
from postroom.protocols.graph.requests import (
    AGAIN,
    PATIENCE,
    Requests,
    http_limits,
    quoted,
    told_later,
    wait_of,
)

__all__ = ["LARGEST", "attach"]

LARGEST: Final = 150 * 1024 * 1024
"""Bytes of one file (Microsoft's "attach large files")."""

_PIECE: Final = 10 * 320 * 1024  # below 4 MB, and a multiple of 320 KiB
_TRIES: Final = 3


async def attach(requests: Requests, draft: str, leaf: Leaf, number: int, file: IO[bytes]) -> None:
    """Add one file to a draft.  Raises WireError, and InvalidValue for one that is too large."""
    size = leaf.size(file)
    about: dict[str, Any] = {"name": leaf.shown_name(number), "contentType": leaf.content_type}
    if leaf.content_id:
        about |= {"isInline": not leaf.attached, "contentId": leaf.content_id}
    if size > LARGEST:
        raise InvalidValue("message", f"{about['name']} has {size} bytes, 150 MB are allowed")
    path = f"messages/{quoted(draft)}/attachments"
    if size <= IN_ONE:
        data = base64.b64encode(b"".join(leaf.decoded(file))).decode("ascii")
        kind = {"@odata.type": "#microsoft.graph.fileAttachment", "contentBytes": data}
        await requests.post(path, kind | about, step="send")
        return
    item = {"attachmentType": "file", "size": size, **about}
    made = await requests.post(f"{path}/createUploadSession", {"AttachmentItem": item}, step="send")
    url = made.get("uploadUrl")
    if not isinstance(url, str):
        raise ProtocolError("Microsoft Graph opened an upload without an address.", step="send")
    await _upload(requests, url, leaf, size, file)


async def _upload(requests: Requests, url: str, leaf: Leaf, size: int, file: IO[bytes]) -> None:
    """The pieces, one after the other.

    The address is another host's (outlook.office.com) and holds its own key, so it is asked without
    the token, over TLS verified as Graph's is, and never shown.
    """
    async with HttpClient(_origin(requests, url), limits=http_limits(requests.limits)) as client:
        at = 0
        for piece in _pieces(leaf.decoded(file), _PIECE):
            await _put(client, url, piece, at, size)
            at += len(piece)


def _origin(requests: Requests, url: str) -> Origin:
    try:
        there = split_url(url)
        if not there.secure:
            raise InvalidValue("url", "it is not https")
    except InvalidValue:
        raise ProtocolError(
            "Microsoft Graph gave an upload address that is not https; nothing was sent there.",
            step="send",
        ) from None
    ours = requests.origin
    return Origin(there.host, there.port, ours.tls, ours.proxy, ours.policy)


async def _put(client: HttpClient, url: str, piece: bytes, at: int, size: int) -> None:
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Range": f"bytes {at}-{at + len(piece) - 1}/{size}",
    }
    failure: PostroomError | None = None
    until, tries = monotonic() + PATIENCE, 0
    while True:
        if failure is not None and await _expects(client, url) == at + len(piece):
            return  # the piece had come, its answer had not
        try:
            answer = await client.ask("PUT", url, headers=headers, content=piece, step="send")
        except WireError as error:
            failure = error
        else:
            if answer.status in (200, 201, 202):
                return
            failure = refusal(answer, step="send", late=True)
            if answer.status in AGAIN:
                if monotonic() + (wait := wait_of(answer)) > until:
                    raise told_later(answer, "send", wait)
                await asyncio.sleep(wait)
                continue
            if answer.status < 500:
                raise failure
        tries += 1
        if tries == _TRIES:
            raise failure


async def _expects(client: HttpClient, url: str) -> int:
    """From which byte on the server wants more; -1 where it does not say."""
    try:
        answer: HttpAnswer = await client.ask("GET", url, step="send")
        return int(str(answer.json()["nextExpectedRanges"][0]).partition("-")[0])
    except (WireError, LookupError, TypeError, ValueError):
        return -1


def _pieces(chunks: Iterator[bytes], most: int) -> Iterator[bytes]:
    kept = bytearray()
    for chunk in chunks:
        kept += chunk
        while len(kept) >= most:
            with memoryview(kept) as whole:  # one copy, and nothing held twice while it is sent
                piece = bytes(whole[:most])
            del kept[:most]
            yield piece
    if kept:
        yield bytes(kept)
