"""``postroom serve``: one process that answers, works, and ends tidily."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import pytest
import trustme

from postroom.app import open_room
from postroom.cli import main
from postroom.serving.control import SOCKET
from postroom.serving.serve import OF_ONE
from postroom.settings import Settings
from tests.child import Child

HUGE = 100 * 1024 * 1024


def resident(pid: int) -> int:
    """Bytes of memory that a process has."""
    text = Path(f"/proc/{pid}/statm").read_text()
    return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Served:
    """A room that another process serves."""

    def __init__(self, settings: Settings, *words: str, **env: str) -> None:
        own = ["--room", str(settings.room), *(["--kek", settings.kek] if settings.kek else [])]
        words = ("-m", "postroom", "serve", "--port", "0", *words, *own)
        self.child = Child(*words, env={"PYTHONUNBUFFERED": "1"} | env)
        self.settings = settings
        self.welcome = ""
        self.port = 0

    def __enter__(self) -> Self:
        self.child.__enter__()
        line = self.child.complaint_with(" is served at ")
        found = re.search(r"https?://\S+:(\d+)", line)
        assert found, f"{line}\n{self.child.complaints()}"
        self.port = int(found[1])
        return self

    def __exit__(self, *error: object) -> None:
        self.child.__exit__(None, None, None)

    def token(self) -> str:
        """A token of a new administrator, made beside the process that serves."""

        async def made() -> str:
            room = await open_room(self.settings)
            try:
                await room.users.add("root", "admin")
                return str((await room.tokens.add("test", user="root"))["token"])
            finally:
                await room.close()

        return asyncio.run(made())

    def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        body: bytes | None = None,
        host: str = "",
        tls: ssl.SSLContext | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an answer."""
        given = {"Host": host or f"127.0.0.1:{self.port}"} | (headers or {})
        line = (
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            if tls is None
            else http.client.HTTPSConnection("localhost", self.port, timeout=20, context=tls)
        )
        try:
            line.request(method, path, body, given)
            answer = line.getresponse()
            told = {name.lower(): text for name, text in answer.getheaders()}
            return answer.status, told, answer.read()
        finally:
            line.close()


@pytest.fixture
def served(settings: Settings) -> Any:
    assert main(["init", "--room", str(settings.room), "--kek", str(settings.kek)]) == 0
    with Served(settings) as one:
        yield one


def test_it_answers_says_how_to_begin_and_ends_tidily(served: Served) -> None:
    status, headers, _ = served.ask("/healthz")
    assert status == 200
    assert "content-security-policy" in headers
    assert "server" not in headers
    assert "/welcome#" in served.child.complaint_with("/welcome")
    assert served.ask("/")[0] in (200, 302, 303)
    assert served.ask("/api/v1/credentials")[0] == 401
    assert served.child.stop() == 0
    assert "Traceback" not in served.child.complaints()


def test_another_name_reaches_nothing(served: Served) -> None:
    """T53"""
    assert served.ask("/", host="evil.example.com")[0] == 421
    assert served.ask("/api/v1/credentials", host="evil.example.com")[0] == 421


def test_no_query_is_written_down(served: Served) -> None:
    """T45: a code or a token that somebody puts into an address stands in no log, whatever answers."""
    code = "A-code-of-Nobody-7741"
    for path in (
        f"/callback?code={code}&state={code}", f"/welcome?code={code}", f"/sign-in?next=/{code}",
        f"/api/v1/counts?access_token={code}", f"/api/v1/nothing?token={code}", f"/?token={code}",
        f"/readyz?token={code}", f"/metrics?token={code}", f"/static/x?token={code}",
    ):  # fmt: skip
        assert served.ask(path)[0] < 504
    assert served.ask(f"/?token={code}", host="evil.example.com")[0] == 421
    assert served.ask(f"/?token={code}&{'x' * 9000}")[0] >= 400
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as line:
        line.sendall(f"GET /?token={code} no HTTP at all\r\n\r\n".encode())
        assert line.recv(12) == b"HTTP/1.1 400"
    assert served.child.stop() == 0
    written = [path for path in served.settings.room.rglob("*") if path.is_file()]
    assert not [path for path in written if code.encode() in path.read_bytes()]
    assert code not in served.child.complaints()
    assert not [line for line in served.child.lines() if code in line]


def test_a_flood_of_body_is_refused_and_costs_no_memory(served: Served) -> None:
    """T50: 100 MB that say so, and 100 MB that do not."""
    served.ask("/healthz")
    token = served.token()
    served.ask("/api/v1/credentials", headers={"Authorization": f"Bearer {token}"})
    before = resident(served.child.pid)
    path = "/api/v1/commands/send-email"
    assert served.ask(path, method="POST", headers={"Content-Length": str(HUGE)})[0] == 413
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as line:
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nTransfer-Encoding: chunked\r\n"
        head += f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n\r\n"
        line.sendall(head.encode())
        chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
        with contextlib.suppress(OSError):  # it is told to go
            for _ in range(HUGE // 0x100000):
                line.sendall(chunk)
        with contextlib.suppress(OSError):  # gone before it was read
            assert line.recv(64).startswith(b"HTTP/1.1 413 ")
    assert resident(served.child.pid) - before < 50 * 1024 * 1024
    assert served.ask("/healthz")[0] == 200


def test_a_room_that_was_moved_away_is_not_served_on(served: Served, settings: Settings) -> None:
    """Whoever restores another room there has it for themselves; nothing goes into the old one."""
    assert served.child.complaint_with("/welcome#")  # it is begun to its end
    (settings.room / "room.db").rename(settings.room / "before.db")
    assert served.child.wait(40) == 78
    said = served.child.complaints()
    assert "was moved or replaced while this process had it open" in said
    assert "Traceback" not in said


def test_who_never_ends_a_head_is_let_go(served: Served) -> None:
    """T50: a slow head holds nothing; ten seconds are its time."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as line:
        line.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        begun = time.monotonic()
        assert line.recv(64) == b""
        assert time.monotonic() - begun < 18


def test_a_page_says_what_is_too_much_for_it(served: Served) -> None:
    """T50: a form that does not say how long it is, and is too long, is no mistake of the page."""
    name = f"127.0.0.1:{served.port}"
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as line:
        head = (
            f"POST /sign-in HTTP/1.1\r\nHost: {name}\r\nOrigin: http://{name}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        line.sendall(head.encode())
        line.sendall(b"100000\r\n" + b"x" * 0x100000 + b"\r\n2\r\nxx\r\n")
        assert line.recv(12) == b"HTTP/1.1 413"
    assert served.child.stop() == 0
    assert "mistake" not in served.child.complaints()


def test_a_form_that_breaks_off_is_no_mistake(served: Served) -> None:
    """T50: nor is a body of the API; nobody fills the log with traces."""
    name = f"127.0.0.1:{served.port}"
    for path, kind in (
        ("/sign-in", "application/x-www-form-urlencoded"),
        ("/api/v1/credentials", "application/json"),
    ):
        with socket.create_connection(("127.0.0.1", served.port), timeout=20) as line:
            head = f"POST {path} HTTP/1.1\r\nHost: {name}\r\nOrigin: http://{name}\r\nContent-Type: {kind}"
            line.sendall(f"{head}\r\nContent-Length: 100\r\n\r\nhalf".encode())
            time.sleep(0.2)
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as line:
        line.sendall(b"no HTTP at all\r\n\r\n")
        assert line.recv(12) == b"HTTP/1.1 400"
    assert served.child.stop() == 0
    said = served.child.complaints()
    assert not re.search("mistake|Traceback|Disconnect|Invalid HTTP", said), said


def test_nobody_takes_every_place(served: Served) -> None:
    """T50: of one address so many connections are kept, the others are cut; another is answered."""
    lines = [socket.create_connection(("127.0.0.1", served.port), timeout=20) for _ in range(260)]
    try:
        assert sum(ended(line) for line in lines) == 260 - OF_ONE
        with socket.create_connection(
            ("127.0.0.1", served.port), 20, source_address=("127.0.0.2", 0)
        ) as other:
            other.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert other.recv(12) == b"HTTP/1.1 200"
    finally:
        for line in lines:
            line.close()


def test_a_password_in_the_clear_is_not_served(settings: Settings, capsys: Any) -> None:
    own = ["--room", str(settings.room), "--kek", str(settings.kek)]
    assert main(["init", *own]) == 0
    assert main(["serve", "--host", "0.0.0.0", "--port", "0", *own]) == 2
    assert "passwords would travel in the clear" in " ".join(capsys.readouterr().err.split())
    assert main(["serve", "--port", "0", "--cert", "/nowhere", *own]) == 2
    assert main(["serve", "--port", "0", "--cert", "/nowhere", "--key", "/nowhere", *own]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_with_a_certificate_of_its_own(settings: Settings, tmp_path: Path) -> None:
    assert main(["init", "--room", str(settings.room), "--kek", str(settings.kek)]) == 0
    ca = trustme.CA()
    pair = ca.issue_cert("localhost")
    certificate, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    certificate.write_bytes(b"".join(one.bytes() for one in pair.cert_chain_pems))
    key.write_bytes(pair.private_key_pem.bytes())
    trust = ssl.create_default_context()
    ca.configure_trust(trust)
    with Served(settings, "--cert", str(certificate), "--key", str(key)) as one:
        status, headers, _ = one.ask("/healthz", tls=trust)
        assert status == 200
        assert headers["strict-transport-security"].startswith("max-age=")


def test_who_never_ends_a_handshake_is_let_go_and_takes_no_place_alone(
    settings: Settings, tmp_path: Path
) -> None:
    """T50: a connection counts before anything is said over TLS, and ten seconds are a handshake's time."""
    assert main(["init", "--room", str(settings.room), "--kek", str(settings.kek)]) == 0
    ca = trustme.CA()
    pair = ca.issue_cert("localhost")
    chain, key, trust = tmp_path / "chain.pem", tmp_path / "key.pem", ssl.create_default_context()
    ca.configure_trust(trust)
    chain.write_bytes(b"".join(one.bytes() for one in pair.cert_chain_pems))
    key.write_bytes(pair.private_key_pem.bytes())
    with (
        Served(settings, "--cert", str(chain), "--key", str(key)) as one,
        contextlib.ExitStack() as held,
    ):
        begun = time.monotonic()
        lines = [
            held.enter_context(socket.create_connection(("127.0.0.1", one.port), timeout=20))
            for _ in range(OF_ONE + 20)
        ]
        assert sum(ended(line) for line in lines) == 20
        other = held.enter_context(
            socket.create_connection(("127.0.0.1", one.port), 20, source_address=("127.0.0.2", 0))
        )
        tls = held.enter_context(trust.wrap_socket(other, server_hostname="localhost"))
        tls.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert tls.recv(12) == b"HTTP/1.1 200"
        lines[0].settimeout(20)
        assert lines[0].recv(1) == b""
        assert time.monotonic() - begun < 18
        until = time.monotonic() + 20
        while not all(ended(line) for line in lines) and time.monotonic() < until:
            time.sleep(0.1)
        again = socket.create_connection(("127.0.0.1", one.port), timeout=20)
        with trust.wrap_socket(
            again, server_hostname="localhost"
        ) as tls:  # their places are free again
            tls.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert tls.recv(12) == b"HTTP/1.1 200"


def ended(line: socket.socket) -> bool:
    """Whether the other side has ended that connection."""
    line.settimeout(0.02)
    try:
        return line.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True


def test_a_locked_room_is_served_and_unlocked_from_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The passphrase goes over the socket of the room's user; then there is a worker."""
    settings = Settings(tmp_path / "room", "passphrase:")
    own = ["--room", str(settings.room), "--kek", "passphrase:"]
    phrase = "correct horse battery staple"
    with monkeypatch.context() as known:
        known.setenv("POSTROOM_PASSPHRASE", phrase)
        assert main(["init", *own]) == 0

    def unlock(given: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "postroom", "keys", "unlock", "--passphrase-stdin", "--json"]
        done = subprocess.run(
            [*words, *own], input=given + "\n", text=True, capture_output=True, check=False
        )
        assert phrase not in done.stdout + done.stderr
        return done

    with Served(settings) as one:
        assert (settings.room / SOCKET).stat().st_mode & 0o777 == 0o600
        assert one.ask("/readyz")[0] == 503
        wrong = unlock("another battery staple")
        assert (wrong.returncode, json.loads(wrong.stdout)["code"]) == (78, "key_wrong")
        assert json.loads(unlock(phrase).stdout) == {"v": 1, "unlocked": True}
        assert one.ask("/healthz")[0] == 200
        assert json.loads(unlock(phrase).stdout) == {"v": 1, "unlocked": False}
    assert "Nobody serves this room" in unlock(phrase).stdout


def test_a_room_is_served_once(served: Served, settings: Settings, capsys: Any) -> None:
    own = ["--room", str(settings.room), "--kek", str(settings.kek)]
    assert main(["serve", "--port", "0", *own]) == 78
    assert "Another process serves this room" in capsys.readouterr().err
    assert main(["serve", "--port", str(served.port), *own]) == 78
    assert "is taken by another program" in capsys.readouterr().err
