"""A room as it is served: its names, certificates and cookies, what strangers find, and slow bodies."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from postroom.app import Room, open_room
from postroom.cli import main
from postroom.operations.doors import DOORS
from postroom.secret import Secret
from postroom.serving.serve import Serving, serve
from postroom.settings import Settings
from postroom.web.pages import PAGES
from postroom.web.statics import HTMX, static
from tests.api.test_page_attacks import at
from tests.api.test_tls import issued

NAME = "mail.example.com"
FORWARDED = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.9"}


class There:
    """A room that this process serves: what it told, and how it is asked."""

    def __init__(self, told: list[str], port: int) -> None:
        self.told = told
        self.port = port

    @property
    def address(self) -> str:
        """Where it says that it is."""
        found = re.search(r" at (https?://\S+);", self.told[0])
        assert found, self.told
        return found[1]

    async def ask(
        self, path: str, host: str, tls: ssl.SSLContext | None = None, *, forwarded: bool = False
    ) -> tuple[int, str, list[str]]:
        """Status, where it leads, and the cookies of an answer."""
        return await asyncio.to_thread(self._asked, path, host, tls, forwarded)

    def _asked(
        self, path: str, host: str, tls: ssl.SSLContext | None, forwarded: bool
    ) -> tuple[int, str, list[str]]:
        given = {"Host": host} | (FORWARDED if forwarded else {})
        line = (
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            if tls is None
            else http.client.HTTPSConnection("localhost", self.port, timeout=20, context=tls)
        )
        with contextlib.closing(line):
            line.request("GET", path, headers=given)
            answer = line.getresponse()
            answer.read()
            cookies = answer.headers.get_all("set-cookie") or []
            return answer.status, answer.headers.get("location", ""), cookies


Serves = Callable[[Serving], contextlib.AbstractAsyncContextManager[There]]


@pytest.fixture
def serves(settings: Settings) -> Serves:
    assert main(["init", "--room", str(settings.room), "--kek", str(settings.kek)]) == 0

    async def opened(passphrase: Secret | None) -> Room:
        return await open_room(settings)

    @contextlib.asynccontextmanager
    async def serving(how: Serving) -> AsyncIterator[There]:
        told: list[str] = []
        with contextlib.closing(socket.socket()) as held:
            # bound and not listening: nobody else is given it, and the server may listen on it
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(("127.0.0.1", 0))
            port = held.getsockname()[1]
            task = asyncio.create_task(
                serve(opened, replace(how, port=port, places=0), told.append)
            )
            try:
                while len(told) < 2:  # where, and how somebody comes in
                    await asyncio.sleep(0.01)
                    assert not task.done(), task.result()
                yield There(told, port)
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    return serving


def trusting(*authorities: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for one in authorities:
        one.configure_trust(context)
    return context


async def test_a_name_is_also_one_with_the_port_it_is_served_at(
    serves: Serves, tmp_path: Path
) -> None:
    """T53: of its own names the one that is told works; and that alone, with no port of others."""
    ca = trustme.CA()
    chain, key = issued(ca, tmp_path)
    how = Serving(names=("Mail.example.com", "[2001:db8::1]"), certificate=chain, key=key)
    async with serves(how) as there:
        own = f"{NAME}:{there.port}"
        assert there.address == f"https://{own}"
        assert f"https://{own}/welcome#" in " ".join(there.told)
        for host, status in (
            (own, 200), (NAME, 200), (f"[2001:db8::1]:{there.port}", 200), (f"{NAME}:1", 421),
            (f"other.example.com:{there.port}", 421),
        ):  # fmt: skip
            assert (await there.ask("/sign-in", host, trusting(ca)))[0] == status, host


async def test_behind_a_proxy_it_is_called_as_the_proxy_is(serves: Serves) -> None:
    """T53: the port of a proxy is not ours; whoever is no proxy is not believed (T46)."""
    async with serves(Serving(names=(NAME,), proxies=("127.0.0.1",))) as there:
        assert there.address == f"https://{NAME}"
        status, _, (cookie,) = await there.ask("/sign-in", NAME, forwarded=True)
        assert (status, *flags(cookie)) == (200, True, *HARDENED)
        assert (await there.ask("/sign-in", f"{NAME}:{there.port}", forwarded=True))[0] == 421
    async with serves(Serving(names=(NAME,), proxies=("10.0.0.1",))) as there:
        _, _, (cookie,) = await there.ask("/sign-in", NAME, forwarded=True)
        assert flags(cookie) == (False, "httponly", "path=/", "samesite=lax")


HARDENED = ("httponly", "path=/", "samesite=lax", "secure")


def flags(cookie: str) -> tuple[bool | str, ...]:
    """Whether a browser takes it over TLS alone, by its name, and its attributes but its age."""
    name, *more = cookie.lower().split("; ")
    attributes = sorted(one for one in more if not one.startswith(("max-age", "expires")))
    return name.startswith("__host-"), *attributes


async def test_over_tls_cookies_are_for_one_host_and_tls_alone(
    serves: Serves, tmp_path: Path
) -> None:
    """T46"""
    ca = trustme.CA()
    chain, key = issued(ca, tmp_path)
    async with serves(Serving(certificate=chain, key=key)) as there:
        _, _, (cookie,) = await there.ask("/sign-in", f"localhost:{there.port}", trusting(ca))
        assert flags(cookie) == (True, *HARDENED)


async def test_a_renewed_certificate_is_used_and_a_broken_one_is_not(
    serves: Serves,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("postroom.serving.serve.RENEW_SECONDS", 0.02)
    before, after = trustme.CA(), trustme.CA()
    chain, key = issued(before, tmp_path)
    async with serves(Serving(certificate=chain, key=key)) as there:
        host = f"localhost:{there.port}"
        assert (await there.ask("/healthz", host, trusting(before)))[0] == 200
        (tmp_path / "new").mkdir()
        for file in issued(after, tmp_path / "new"):
            file.replace(tmp_path / file.name)
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(ssl.SSLCertVerificationError):
                    assert (await there.ask("/healthz", host, trusting(after)))[0] == 200
                    break
        chain.write_text("none")
        async with asyncio.timeout(10):
            while "the certificate on the disk is not taken" not in caplog.text:
                await asyncio.sleep(0.02)
        assert (await there.ask("/healthz", host, trusting(after)))[0] == 200


@pytest.mark.parametrize("door", ["page", "api"])
async def test_a_body_that_does_not_come_is_let_go_and_keeps_nobody_waiting(
    serves: Serves, settings: Settings, door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T50: a slow body, byte by byte, over a real socket: 408, no trace, and others are answered."""
    monkeypatch.setattr("postroom.serving.border.BODY_SECONDS", 0.5)
    async with serves(Serving()) as there:
        host = f"127.0.0.1:{there.port}"
        if door == "page":
            path, kind = "/sign-in", "application/x-www-form-urlencoded"
            more = f"Origin: http://{host}\r\n"
        else:
            path, kind = "/api/v1/commands/send-email", "application/json"
            beside = await open_room(settings)
            await beside.users.add("root", "admin")
            token = (await beside.tokens.add("slow", user="root"))["token"]
            await beside.close()
            more = f"Authorization: Bearer {token}\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", there.port)
        head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\nContent-Length: 99\r\n"
        writer.write(f"{head}{more}\r\n".encode())
        said = asyncio.ensure_future(reader.readline())
        while not said.done():
            writer.write(b"{")
            await asyncio.sleep(0.1)
            assert (await there.ask("/healthz", host))[0] == 200
        assert said.result().startswith(b"HTTP/1.1 408 ")
        writer.close()


async def test_whoever_has_not_signed_in_finds_the_door_and_nothing_else(serves: Serves) -> None:
    """T55: every route of the API, the page, health and the files beside them, as it is served."""
    pages = {at(path.path) for page in PAGES for path in page.ROUTES if path.method == "GET"}
    doors = {f"/api/v1{at(door.path)}" for door in DOORS if door.http == "GET"}
    others = {
        "/healthz",
        "/readyz",
        "/metrics",
        "/api/v1/openapi.json",
        "/api/v1/events",
        "/api/v1/",
    }
    files = {static(name) for name in ("page.css", "work.css", "page.js", "mark.svg", HTMX)}
    async with serves(Serving()) as there:
        host = f"127.0.0.1:{there.port}"
        found: dict[str, tuple[int, str]] = {}
        for path in sorted(pages | doors | others | files | {"/static/", "/nothing", "/docs"}):
            found[path] = (await there.ask(path, host))[:2]
    answered = {path for path, (status, _) in found.items() if status < 300}
    assert answered == files | {"/healthz", "/sign-in", "/welcome", "/callback"}
    assert found["/readyz"][0] == 503  # no worker lives here; it says no more than that
    asked_who = {path for path, (status, _) in found.items() if status == 401}
    assert asked_who == doors | {"/metrics", "/api/v1/openapi.json", "/api/v1/events"}
    led = {path for path, (_, leads) in found.items() if leads.startswith("/sign-in")}
    open_to_all = {path for path in pages if path in answered} | {"/sign-in/provider"}
    assert led == (pages - open_to_all) | {"/nothing", "/docs", "/static/"}
    left = found.keys() - answered - asked_who - led
    assert {path: found[path][0] for path in left} == {
        "/api/v1/": 404, "/readyz": 503, "/sign-in/provider": 409,
    }  # fmt: skip
