"""One route: who asks, may they, what is asked, do it once, answer; for every door the same."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import hmac
import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from postroom.api.body import MOST_BYTES, MOST_OF_A_COMMAND, read_body, read_json
from postroom.api.events import log_of
from postroom.api.problems import JSON, as_json
from postroom.api.reading import Reader
from postroom.api.signing import signed_in
from postroom.api.streams import EVENT_STREAM, answered, stream_of, wants_stream
from postroom.app import Room
from postroom.errors import InvalidValue, PostroomError, WrongUse
from postroom.operations.answers import Answer, Answers
from postroom.operations.asking import Asked
from postroom.operations.commands import only_reads, rights_of
from postroom.operations.documents import document, encoded
from postroom.operations.doors import Door
from postroom.operations.gate import check_may
from postroom.operations.page import cut
from postroom.operations.unchanged import only_unchanged, tag_of

__all__ = ["Route", "makes", "shown_above", "shows", "takes_key"]

_MAKES: Final = ("add", "create", "copy", "begin")
_KEY: Final = re.compile(r"[\x21-\x7e]{1,200}")
_LINE: Final = re.compile(r"[0-9]{1,9}")
_TAG: Final = re.compile(r'"([0-9a-f]{32})"')
_SHOWS: Final = frozenset({("accounts", "recognise"), ("erasing", "plan")})
"""What is asked with a body although it changes nothing: an address stands in no path, and so in no log."""
_ONLY_ASKS: Final = frozenset({("connections", "test"), ("runs", "plan")})
"""What leaves the definition that it is about as it is: whether that was changed is no matter."""
_ONCE: Final = frozenset({"users", "tokens"})
"""What these give is shown once and kept nowhere: their answers are not kept either."""
_MEDIA: Final = {"outbox.content": "message/rfc822"}


def shows(door: Door) -> bool:
    """Whether a door shows one definition, which has a tag."""
    return door.http == "GET" and door.method in ("show", "get")


def makes(door: Door) -> bool:
    """Whether there is something new afterwards."""
    return door.http == "POST" and door.method in _MAKES


def shown_above(door: Door, others: Iterable[Asked]) -> Asked | None:
    """The door that shows what this one changes: of its tag an If-Match speaks.  None: nothing has one."""
    if door.http == "GET" or (door.noun, door.method) in _ONLY_ASKS:
        return None
    return next(
        (
            one
            for one in others
            if shows(one.door) and f"{door.path}/".startswith(f"{one.door.path}/")
        ),
        None,
    )


def takes_key(door: Door) -> bool:
    """Whether an Idempotency-Key is kept with its answer."""
    return door.http == "POST" and door.noun not in _ONCE


class Route:
    """Answers the requests of one door."""

    def __init__(self, room: Room, asked: Asked, others: Mapping[Any, Asked]) -> None:
        self._room = room
        self._asked = asked
        self._reader = Reader(asked)
        self._show = shown_above(asked.door, others.values())
        large = asked.door.noun in ("commands", "roomfile")
        self._most = MOST_OF_A_COMMAND if large else MOST_BYTES

    async def answer(self, request: Request) -> Response:
        """Answer; an error is told as a problem."""
        door = self._asked.door
        room = await signed_in(self._room, request)
        self._check_may(room, request)
        data = b"" if door.http in ("GET", "DELETE") else await read_body(request, most=self._most)
        given = self._reader.read(request, await read_json(data))
        self._only_unchanged(room, request, given)
        if wants_stream(request) and (door.noun, door.method) == ("runs", "log"):
            await room.runs.show(given["run"])
            signed = functools.partial(signed_in, self._room, request)
            seen = request.headers.get("last-event-id", "")
            after = int(seen) if _LINE.fullmatch(seen) else given.get("after", 0)
            return answered(log_of(signed, room, given["run"], after))
        key = request.headers.get("idempotency-key")
        if self._asked.tells and wants_stream(request):
            if key is not None:
                raise InvalidValue("Idempotency-Key", "is not taken with a stream: it is told once")
            return stream_of(self._asked, room, given)
        if self._asked.tells and not _optional(self._asked):
            raise WrongUse(
                "That tells a person what to do while it waits for them: it is answered as a stream.",
                code="not_acceptable",
                hint=f"Ask with Accept: {EVENT_STREAM}",
            )
        if key is None or door.http != "POST" or self._only_reads(given):
            return await self._done(room, given)
        return await self._once(room, given, key, _digest(key, request, data))

    def _check_may(self, room: Room, request: Request) -> None:
        """Raise Refused before the body is read: it may be a large one."""
        door = self._asked.door
        check_may(room.desk.person, door.right)
        if (door.noun, door.method) == ("commands", "run"):
            for right in rights_of(request.path_params["name"]):
                check_may(room.desk.person, right)

    async def _done(self, room: Room, given: dict[str, Any]) -> Response:
        door = self._asked.door
        value = await self._value(room, given)
        if isinstance(value, bytes):
            media = _MEDIA[f"{door.noun}.{door.method}"]
            return Response(value, 200, {"Content-Disposition": "attachment"}, media)
        if self._asked.returns is type(None):
            return Response(status_code=204)
        told = document(self._asked.returns, value)
        headers = {"ETag": f'"{tag_of(encoded(value))}"'} if shows(door) else {}
        status = 201 if makes(door) else 200
        return Response(as_json(told), status, headers, JSON)

    async def _value(self, room: Room, given: dict[str, Any]) -> Any:
        """What the operation gives, of a list one page."""
        door, asked = self._asked.door, self._asked
        pages = {}
        if asked.pages:
            pages["limit"] = given.get("limit", asked.limit)
            pages["after"] = given.get("after")
            if asked.whole:
                given = {name: each for name, each in given.items() if name not in pages}
            else:
                given = {**given, "limit": pages["limit"]}
        done = getattr(getattr(room, door.noun), door.method)(**given)
        value = await done if inspect.isawaitable(done) else done
        return cut(value, **pages) if pages and asked.whole else value

    async def _once(self, room: Room, given: dict[str, Any], key: str, digest: bytes) -> Response:
        """Do it if it was not done yet under this key; else answer as it was answered."""
        if not _KEY.fullmatch(key):
            raise InvalidValue("Idempotency-Key", "give 1 to 200 visible characters")
        if not takes_key(self._asked.door):
            raise InvalidValue("Idempotency-Key", "is not taken here: the answer is shown once")
        # past the gate: nobody may ask for it, the API does; and an If-Match is for the change alone,
        # which is done already where this is the same request again
        kept = Answers(dataclasses.replace(room.desk, before=None))
        before = await kept.begin(key, digest)
        if before is not None:
            headers = {"Idempotency-Replayed": "true"}
            return Response(before.body.encode(), before.status, headers, JSON)
        try:
            answer = await self._done(room, given)
        except PostroomError:
            await kept.end(key, None)
            raise
        await kept.end(key, Answer(answer.status_code, bytes(answer.body).decode()))
        return answer

    def _only_reads(self, given: dict[str, Any]) -> bool:
        door = self._asked.door
        asked = (door.noun, door.method)
        return asked in _SHOWS or (asked == ("commands", "run") and only_reads(given["name"]))

    def _only_unchanged(self, room: Room, request: Request, given: dict[str, Any]) -> None:
        wanted = request.headers.get("if-match")
        show = self._show
        if wanted is None or self._asked.door.http == "GET":
            return
        if show is None:
            raise InvalidValue(
                "If-Match", "is not taken here: no one definition with a tag is changed"
            )
        tags = _TAG.findall(wanted)
        if not tags and wanted.strip() != "*":
            tags = [""]  # of another representation: never what is there
        named = {one.name: given[one.name] for one in show.at("path")}
        only_unchanged(
            room.desk, lambda desk: getattr(show.owner(desk), show.door.method)(**named), tags
        )


def _optional(asked: Asked) -> bool:
    """Whether it can be done while nobody hears of its steps."""
    signature = inspect.signature(getattr(asked.owner, asked.door.method))
    return signature.parameters[asked.tells].default is None


def _digest(key: str, request: Request, data: bytes) -> bytes:
    """What was asked.  With the key, which nobody keeps: a body may hold a secret that can be guessed."""
    asked = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    return hmac.digest(key.encode(), asked + hashlib.sha256(data).digest(), "sha256")
