"""The wire to a served room: requests made of the same table of doors, answers decoded to the same types."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from postroom.errors import PostroomError, ProtocolError, Refused
from postroom.net.http import HttpClient
from postroom.net.http_message import HttpAnswer, HttpLimits, bearer
from postroom.net.origin import Origin, split_url
from postroom.net.tls import Tls
from postroom.operations.asking import Asked, Parameter
from postroom.operations.documents import decoded, encoded, error_of, read_document
from postroom.operations.page import MOST, Page
from postroom.secret import Secret
from postroom.settings import Served

__all__ = ["Wire", "bound"]

API: Final = "/api/v1"
_LIMITS: Final = HttpLimits(body=64 << 20, reply_timeout=330.0, total=900.0)
"""A test of a connection, a pass over a folder and a message of 40 MiB take their time."""
_FILES: Final = frozenset({"also", "heads"})
"""Arguments that no request says: keys and records beside the room."""
EVENT_STREAM: Final = "text/event-stream"


class Wire:
    """Asks a served room, as the owner of a token, over connections that are kept open."""

    def __init__(self, served: Served) -> None:
        """Raises InvalidValue for what is no address; WrongUse for http to another machine."""
        url = split_url(served.url.rstrip("/"), field="room")
        tls = Tls(trust=(served.trust,)) if served.trust else Tls()
        self._origin = Origin(url.host, url.port, tls=tls, secure=url.secure)
        self._base = f"{url.where}{'' if url.path == '/' else url.path}{API}"
        self._client = HttpClient(self._origin, limits=_LIMITS)
        self._authorization = bearer(served.token)

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()

    async def ask(self, asked: Asked, given: Mapping[str, Any]) -> Any:
        """Do an operation there, with its arguments by name; gives what it gives, raises what it raises.

        A list comes in pages, and is given as the operation gives it: whole, or so many as ``limit``
        says.
        """
        for name in _FILES & given.keys():
            if given[name]:
                raise Refused(
                    f"{name} names files where the room is; that is not done from afar.",
                    code="not_supported",
                    hint="Do it on the machine where the room is, without POSTROOM_URL.",
                )
        if not asked.pages:
            return await self._asked(asked, given)
        rest = given.get("limit", _own_limit(asked))
        whole, after = await self._page(asked, {**given, "limit": _of_page(rest)})
        while after is not None and (rest is None or rest > MOST):
            rest = None if rest is None else rest - MOST
            page, after = await self._page(
                asked, {**given, "limit": _of_page(rest), "after": after}
            )
            whole += page
            if isinstance(page, Page):
                whole.next = page.next
        return whole

    async def _page(self, asked: Asked, given: Mapping[str, Any]) -> tuple[Any, Any]:
        """A page, and where the one behind it begins."""
        url, _ = self._request(asked, given)
        headers = {"Authorization": self._authorization}
        answer = await self._client.ask("GET", url, headers=headers, line=self._origin.bearer_line)
        return _read(asked, answer)

    async def _asked(self, asked: Asked, given: Mapping[str, Any]) -> Any:
        tell = given.get(asked.tells) if asked.tells else None
        url, content = self._request(asked, given)
        headers: dict[str, str | Secret] = {"Authorization": self._authorization}
        if content is not None:
            headers["Content-Type"] = "application/json"
        if tell is None:
            answer = await self._client.ask(
                asked.door.http,
                url,
                headers=headers,
                content=content,
                line=self._origin.bearer_line,
            )
            return _given(asked, answer)
        heard = _Events(asked, getattr(tell, "tell", tell))
        answer = await self._client.save(
            url,
            heard,
            method=asked.door.http,
            headers=headers | {"Accept": EVENT_STREAM},
            content=content,
            line=self._origin.bearer_line,
        )
        return heard.result if 200 <= answer.status < 300 else _given(asked, answer)

    def _request(self, asked: Asked, given: Mapping[str, Any]) -> tuple[str, Secret | None]:
        path = asked.door.path
        query: list[tuple[str, str]] = []
        body: dict[str, Any] = {}
        for one in asked.parameters:
            if one.name not in given:
                continue
            value = _sent(one, given[one.name])
            if one.place == "path":
                path = path.replace(f"{{{one.name}}}", quote(str(value), safe=""))
            elif one.place == "query":
                query += [(one.wire, _text(each)) for each in _several(value)]
            elif one.place == "fields":
                body |= value
            else:
                body[one.wire] = value
        url = f"{self._base}{path}" + (f"?{urlencode(query)}" if query else "")
        if asked.door.http in ("GET", "DELETE"):
            return url, None
        return url, Secret(json.dumps(body))


class _Events:
    """Hears server-sent events as they come: tells the steps, keeps the result."""

    def __init__(self, asked: Asked, tell: Callable[..., Any]) -> None:
        self._asked = asked
        self._tell = tell
        self._rest = b""
        self._found: list[Any] = []

    def write(self, data: bytes) -> None:
        """The next bytes of the stream."""
        *events, self._rest = (self._rest + data).split(b"\n\n")
        for each in events:
            lines = dict(line.split(b": ", 1) for line in each.split(b"\n") if b": " in line)
            if b"event" in lines:
                self._hear(lines[b"event"].decode(), json.loads(lines[b"data"]))

    def _hear(self, name: str, told: Any) -> None:
        if name == "step":
            kinds = self._asked.told
            self._tell(
                *(decoded(kind, each) for kind, each in zip(kinds, told["told"], strict=False))
            )
        elif name == "result":
            self._found = [read_document(self._asked.returns, told)]
        elif name == "problem":
            raise _problem(told)

    @property
    def result(self) -> Any:
        """What the operation gave.  Raises ProtocolError where the stream ended before."""
        if not self._found:
            raise ProtocolError(
                "The room ended its answer before it was complete.",
                code="connection_lost",
                hint="Look there what was done, before it is asked again.",
                temporary=True,
            )
        return self._found[0]


def _own_limit(asked: Asked) -> int | None:
    """How many an operation gives where nobody says it; None: all."""
    limit = inspect.signature(getattr(asked.owner, asked.door.method)).parameters.get("limit")
    return None if limit is None else limit.default


def _of_page(rest: int | None) -> int:
    return MOST if rest is None else min(rest, MOST)


def _given(asked: Asked, answer: HttpAnswer) -> Any:
    if answer.status == 204:
        return None
    if 200 <= answer.status < 300 and asked.returns is bytes:
        return answer.body
    return _read(asked, answer)[0]


def _read(asked: Asked, answer: HttpAnswer) -> tuple[Any, Any]:
    """What an answer gives, and ``next`` of a list.  Raises what it tells instead."""
    kind = answer.headers.get("content-type", "").partition(";")[0]
    try:
        told = json.loads(answer.body)
        if kind == "application/problem+json":
            raise _problem(told)
        if 200 <= answer.status < 300 and kind == "application/json" and told["v"] == 1:
            return read_document(asked.returns, told), told.get("next")
    except (ValueError, KeyError, TypeError):
        pass
    raise ProtocolError(
        f"That is no room of Postroom: it answered {answer.status}, and no document.",
        hint="Check the address: it is the one of the page, without /api.",
        status=answer.status,
    )


def _problem(told: Mapping[str, Any]) -> PostroomError:
    return error_of({**told, "error": told.get("title")})


def _sent(one: Parameter, value: Any) -> Any:
    """A value as a request says it."""
    if isinstance(value, frozenset | set) and one.name == "rebind":
        return [list(pair) for pair in value]
    return _revealed(value)


def _revealed(value: Any) -> Any:
    """As JSON; what was typed to be kept there leaves here, and nowhere else."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return {str(key): _revealed(each) for key, each in value.items()}
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return [_revealed(each) for each in value]
    return encoded(value)


def _several(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def bound(
    operation: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any]
) -> dict[str, Any]:
    """The arguments of a call by their names.  Raises TypeError as the call itself would."""
    arguments = inspect.signature(operation).bind(None, *given, **named).arguments
    more = arguments.pop("changes", {}) if _has_free(operation) else {}
    arguments.pop("self", None)
    return {**arguments, **more}


def _has_free(operation: Callable[..., Any]) -> bool:
    return any(
        one.kind is inspect.Parameter.VAR_KEYWORD
        for one in inspect.signature(operation).parameters.values()
    )
