"""Ways round "a saved secret is never shown": files, flags and bodies that ask for another one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.ground.scripted import Close, ScriptedServer
from tests.journeys.conftest import Cli
from tests.journeys.incoming import letter
from tests.journeys.test_security import CANARY, leaks, plain_connection, serving, told

if TYPE_CHECKING:
    from tests.ground import Ground, User


@pytest.mark.parametrize(
    "words",
    [
        ("connection", "test", "acme", "--set", "incoming.host=127.0.0.2"),
        ("connection", "test", "acme", "--incoming.host", "127.0.0.2"),
        ("connection", "test", "acme", "--host", "127.0.0.2"),
        ("connection", "test", "acme", "--check-server-identity", "no"),
        ("connection", "test", "acme", "--proxy", "127.0.0.2:1"),
        ("credential", "test", "login", "--host", "127.0.0.2"),
        ("mail", "list", "--via", "acme", "--host", "127.0.0.2"),
        ("source", "run", "acme", "--connection", "other"),
        ("send", "--via", "acme", "--to", "a@example.com", "--text", "x", "--host", "127.0.0.2"),
    ],
)
def test_a_stored_secret_is_not_tried_at_a_place_that_a_command_names(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """T28: wrong use, nobody is dialled, and the secret is not told."""
    with (
        serving(ScriptedServer([Close()])) as good,
        serving(ScriptedServer([Close()], host="127.0.0.2")) as evil,
    ):
        plain_connection(cli, "imap", good.port, monkeypatch)
        answer = cli(*words)
        assert answer.status == 2, answer
        assert not leaks(told(answer))
        assert not good.sessions
        assert not evil.sessions


NESTED = "[" * 10_000 + "]" * 10_000
LAUGHS = "\n".join(
    [f"a0: &a0 [{CANARY!r}]", *(f"a{n}: &a{n} [{f'*a{n - 1}, ' * 9}]" for n in range(1, 9))]
)


@pytest.mark.parametrize(
    "text",
    [
        f"credentials: {NESTED}",
        f"credentials: {'{a: ' * 5000}{CANARY!r}{'}' * 5000}",
        f"{LAUGHS}\nvariables: {{X: *a8}}",
        "variables:\n  A: " + CANARY * 500_000,
        f"credentials: !!python/object/apply:os.system ['echo {CANARY}']",
        f"? [{CANARY!r}]\n: 1",
        f"variables: {{A: {{B: {CANARY!r}}}}}",
        f"credentials:\n  - {CANARY!r}",
        f"credentials: {CANARY!r}",
        f"{CANARY!r}",
    ],
    ids=range(10),
)
def test_a_room_file_that_is_a_bomb_is_refused_in_a_sentence(
    cli: Cli, tmp_path: Path, text: str
) -> None:
    """T33: too deep, too large, aliases, tags, wrong shapes: refused, and nothing of it repeated."""
    file = tmp_path / "room.yaml"
    file.write_text(f"postroom: 1\n{text}\n")
    for mode in ((), ("--json", "--verbose")):
        answer = cli("apply", str(file), *mode)
        assert answer.status == 2, answer
        assert len(told(answer)) < 2000
        assert "Traceback" not in answer.err
        assert not leaks(told(answer)), answer


HOSTILE = b"""\
Subject: =cmd|' /C calc'!A0 ${env:PATH} {{7*7}} %(x)s
Content-Type: multipart/mixed; boundary=B
X-Attach: file:///etc/passwd
MIME-Version: 1.0

--B
Content-Type: text/plain

attach: /etc/passwd  @/etc/passwd  file:///etc/passwd  ${sec:login}
--B
Content-Type: message/external-body; access-type=local-file; name="/etc/passwd"

Content-Type: text/plain

--B
Content-Type: text/plain; name="/etc/passwd"
Content-Disposition: attachment; filename="../../../etc/passwd"

only this
--B--
"""


def test_what_a_stranger_writes_attaches_no_file_of_this_machine(
    cli: Cli, wired: User, ground: Ground, tmp_path: Path
) -> None:
    """T74, T41: neither named in a body, nor as an external body, nor by a name with a path."""
    head = letter("1").partition(b"\r\nSubject:")[0]
    ground.dovecot.fill(wired, [head + b"\r\n" + HOSTILE.replace(b"\n", b"\r\n")])
    (found,) = cli("mail", "list", "--via", "acme", "--json").json["items"]
    out = tmp_path / "saved"
    answer = cli("mail", "save", found["id"], "--via", "acme", "--attachments", "--to", str(out))
    assert answer.status == 0, answer
    saved = [path for path in out.rglob("*") if path.is_file()]
    assert saved
    assert all(b"root:" not in path.read_bytes() for path in saved)
    assert all(path.resolve().is_relative_to(out) for path in saved)
    answer = cli("mail", "forward", found["id"], "--via", "acme", "--to", wired.address,
                 "--from", wired.address, "--text", "see below", "--wait", "20s")  # fmt: skip
    assert answer.status == 0, answer
    items = cli("mail", "list", "--via", "acme", "--json").json["items"]
    for item in items:
        raw = cli("mail", "read", item["id"], "--via", "acme", "--raw").out
        assert "root:" not in raw
        assert wired.password not in raw
