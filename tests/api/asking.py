"""Asks an ASGI application in this process, as a server would: one request, the whole answer."""

from __future__ import annotations

import asyncio
import json as json_
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

__all__ = ["Answer", "Client"]


class Answer(NamedTuple):
    """What was answered."""

    status_code: int
    headers: dict[str, str]
    content: bytes
    cookies: dict[str, str]

    @property
    def text(self) -> str:
        """The body."""
        return self.content.decode()

    def json(self) -> Any:
        """The body's JSON."""
        return json_.loads(self.content)


class Client:
    """Asks as somebody: the role of ``as_``, else as an administrator."""

    def __init__(self, app: Any, tokens: Mapping[str, str]) -> None:
        self.app = app
        self.tokens = tokens

    async def ask(
        self,
        method: str,
        url: str,
        *,
        json: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        as_: str | None = "admin",
        seconds: float = 30.0,
        peer: str = "127.0.0.1",
        heard: bytearray | None = None,
    ) -> Answer:
        """One request; a stream that does not end by itself is left after ``seconds``.

        ``heard`` gets the body as it comes, for whoever waits for a part of it.
        ``cookies`` of the answer are those that it gives; one that it takes back is empty.
        """
        body = (
            content if content is not None else b"" if json is None else json_.dumps(json).encode()
        )
        sent = {"host": "room"}
        if body:
            sent["content-type"] = "application/json"
        if as_ is not None:
            sent["authorization"] = f"Bearer {self.tokens[as_]}"
        sent |= {key.lower(): value for key, value in (headers or {}).items()}
        path, _, query = url.partition("?")
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
            "scheme": "http", "path": unquote(path), "raw_path": path.encode(), "root_path": "",
            "query_string": query.encode(), "client": (peer, 1), "server": ("room", 80),
            "headers": [(key.encode(), value.encode("latin-1")) for key, value in sent.items()],
        }  # fmt: skip
        given, gone = [{"type": "http.request", "body": body, "more_body": False}], asyncio.Event()
        found: dict[str, Any] = {"status": 0, "headers": {}, "body": bytearray(), "cookies": {}}

        async def receive() -> dict[str, Any]:
            if given:
                return given.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Mapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                found["status"] = message["status"]
                found["headers"] = {
                    k.decode().lower(): v.decode("latin-1") for k, v in message["headers"]
                }
                found["cookies"] = _cookies(message["headers"])
            else:
                found["body"] += message.get("body", b"")
                if heard is not None:
                    heard.extend(message.get("body", b""))

        try:
            await asyncio.wait_for(self.app(scope, receive, send), seconds)
        except TimeoutError:
            gone.set()
        return Answer(found["status"], found["headers"], bytes(found["body"]), found["cookies"])

    async def get(self, url: str, **more: Any) -> Answer:
        """GET."""
        return await self.ask("GET", url, **more)

    async def post(self, url: str, json: Any = None, **more: Any) -> Answer:
        """POST; nothing is an empty object."""
        return await self.ask("POST", url, json={} if json is None else json, **more)

    async def patch(self, url: str, json: Any, **more: Any) -> Answer:
        """PATCH."""
        return await self.ask("PATCH", url, json=json, **more)

    async def put(self, url: str, json: Any, **more: Any) -> Answer:
        """PUT."""
        return await self.ask("PUT", url, json=json, **more)

    async def delete(self, url: str, **more: Any) -> Answer:
        """DELETE."""
        return await self.ask("DELETE", url, **more)


def _cookies(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    given = [v.decode("latin-1") for k, v in headers if k.decode().lower() == "set-cookie"]
    pairs = [one.partition(";")[0].partition("=") for one in given]
    return {name: value.strip('"') for name, _, value in pairs}
