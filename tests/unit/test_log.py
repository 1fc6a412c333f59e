"""Structured logs: each line says of which request, run and source it is, and nothing that is a secret."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from postroom import web
from postroom.app import Room
from postroom.log import about, known, log_to, logger, within
from postroom.secret import Secret
from postroom.serving.border import Border, Receive, Scope, Send
from postroom.web.pages import entrance

_log = logger("tests")
TYPED = "what-somebody-typed"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged, as programs get it."""
    loggers = [logging.getLogger(name) for name in ("postroom", "uvicorn", "asyncio")]
    before = [(one, one.handlers[:], one.level, one.propagate) for one in loggers]
    stream = io.StringIO()
    log_to(stream, level="INFO")
    yield stream
    for one, handlers, level, propagate in before:
        one.handlers[:], one.level, one.propagate = handlers, level, propagate


async def _asked(app: Any, path: str) -> int:
    """The status of an answer from behind the border."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(),
             "query_string": b"", "scheme": "http", "client": ("127.0.0.1", 1), "server": ("room", 80),
             "headers": [(b"host", b"room")]}  # fmt: skip
    await asyncio.create_task(Border(app, names=["room"])(scope, receive, send))
    return int(sent[0]["status"])


def read(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


async def test_a_line_says_of_what_it_is(lines: io.StringIO) -> None:
    async def work(name: str) -> None:
        with within(source=name):
            await asyncio.sleep(0)
            _log.info("one")
            await asyncio.to_thread(_log.info, "two")
            _log.info("three", extra=about(source="its own", code="timed_out"))

    with within(request="r1"):
        known(actor="user:ann")
        await asyncio.gather(work("a"), work("b"))
    _log.info("after")
    found = read(lines)
    assert all(one["request"] == "r1" and one["actor"] == "user:ann" for one in found[:-1])
    assert sorted(one["source"] for one in found[:-1]) == ["a", "a", "b", "b", "its own", "its own"]
    assert not {"request", "actor", "source"} & found[-1].keys()


async def test_what_is_known_is_escaped_and_scrubbed(lines: io.StringIO) -> None:
    """T94, T31: a name is one line, and a secret that is open is not in it."""
    secret = Secret("hunter2-within-a-log-line")
    with within(source=f"a\nb\x1b[31m {secret.reveal()}"):
        _log.info("said")
    (found,) = read(lines)
    assert found["source"].isprintable()
    assert "hunter2" not in lines.getvalue()
    del secret


async def test_every_line_of_a_request_has_its_id(lines: io.StringIO) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        known(actor="user:ann")
        _log.warning("inside")
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    assert await _asked(app, "/sources") == 204
    inside, line = read(lines)
    assert inside["request"] == line["request"]
    assert (inside["actor"], line["actor"]) == ("user:ann", "user:ann")
    assert line["event"] == "GET /sources 204"


async def test_a_line_about_a_run_names_run_and_job(room: Room, lines: io.StringIO) -> None:
    await room.jobs.add({"name": "nightly", "command": {"words": ["/bin/false"]}})
    run = await room.runs.begin("nightly", {})
    await room.runs.here(run)
    (line,) = [one for one in read(lines) if one["part"] == "jobs"]
    assert (line["job"], line["run"]) == ("nightly", run)


@pytest.mark.bares("log", why="pytest hears other loggers itself; what is written is looked at")
@pytest.mark.parametrize("name", ["uvicorn.error", "asyncio"])
async def test_what_others_warn_of_is_scrubbed_too(lines: io.StringIO, name: str) -> None:
    """T94, T31: the server and the loop write no line of their own between those for programs."""
    secret = Secret("hunter2-in-another-logger")
    try:
        raise ValueError(secret.reveal())
    except ValueError as error:
        logging.getLogger(name).error("Exception in ASGI application\n", exc_info=error)
    (found,) = read(lines)
    assert (found["part"], found["level"]) == (name, "error")
    assert "hunter2" not in lines.getvalue()


async def test_a_page_that_breaks_is_answered_and_tells_the_log_no_more(
    lines: io.StringIO, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T94"""

    async def broken(visit: object) -> None:
        raise ValueError(f"typed: {TYPED}")

    page = entrance.ROUTES[0]._replace(handler=broken)  # type: ignore[arg-type]
    monkeypatch.setattr(entrance, "ROUTES", (page,))
    assert await _asked(web.make_app(room), "/sign-in") == 500
    broke, line = read(lines)
    assert broke["part"] == "serve"
    assert "GET /sign-in: ValueError" in broke["event"]
    assert "in broken" in broke["event"]
    assert line["event"] == "GET /sign-in 500"
    assert TYPED not in lines.getvalue()
