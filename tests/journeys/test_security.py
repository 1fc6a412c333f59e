"""Attacks from outside: the database edited, servers that answer with secrets or escape codes."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import sqlite3
import stat
import sys
import threading
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

import postroom
from tests.ground import scripted
from tests.ground.scripted import Close, ScriptedServer, Send, Step
from tests.journeys.conftest import Answer, Cli

SOURCE = str(Path(postroom.__file__).parents[1])
CANARY = "CaNaRy+pass/w0rd~7391"


class Ended(NamedTuple):
    """How a command ended in a process of its own."""

    status: int
    told: bytes


@contextlib.contextmanager
def serving(server: ScriptedServer) -> Iterator[ScriptedServer]:
    """A server in a thread of its own, since the command line brings its own event loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(10)
        yield server
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def told(answer: Answer) -> bytes:
    """Both streams of a command."""
    return (answer.out + answer.err).encode("utf-8", "surrogateescape")


async def run(cli: Cli, *words: str, **environ: str) -> Ended:
    """One command in a process of its own, as people run it."""
    where = ("--room", str(cli.settings.room), "--kek", str(cli.settings.kek))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "postroom", *words, *where,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": SOURCE, **environ},
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    return Ended(process.returncode or 0, out)


def forms(secret: str) -> dict[str, bytes]:
    """A secret in the forms in which it could leave."""
    value = secret.encode()
    found = {
        "raw": value,
        "utf-16le": secret.encode("utf-16le"),
        "utf-16be": secret.encode("utf-16be"),
        "hex": value.hex().encode(),
        "HEX": value.hex().upper().encode(),
        "url": urllib.parse.quote(secret, safe="").encode(),
        "json": json.dumps(secret)[1:-1].encode(),
        "base32": base64.b32encode(value)[:24],
        "reversed": value[::-1],
    }
    for shift in range(3):
        core = base64.b64encode(b"\0" * shift + value)[(0, 2, 3)[shift] : -4]
        found[f"base64/{shift}"] = core
        found[f"base64url/{shift}"] = core.replace(b"+", b"-").replace(b"/", b"_")
    return found


def leaks(data: bytes, secret: str = CANARY) -> list[str]:
    """The forms of a secret that stand in these bytes."""
    return [name for name, form in forms(secret).items() if form in data]


def edit(room: Path, sql: str, *values: object) -> None:
    """What somebody does who can write the database file."""
    with sqlite3.connect(room / "room.db") as db:
        assert db.execute(sql, values).rowcount


def plain_connection(cli: Cli, protocol: str, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """``acme`` to a server on this machine, without TLS, with the canary as password."""
    side = "outgoing" if protocol == "smtp" else "incoming"
    steps = (
        ("credential", "add", "login", "--type", "password", "--user-name", "u@example.com",
         "--password-from-env", "PW"),
        ("connection", "add", "acme", "--set", f"{side}.protocol={protocol}",
         "--set", f"{side}.host=127.0.0.1", "--set", f"{side}.port={port}",
         "--set", f"{side}.security=none",
         "--set", f"{side}.auth={{type: secret, credential: login}}"),
    )  # fmt: skip
    monkeypatch.setenv("PW", CANARY)
    for step in steps:
        answer = cli(*step)
        assert answer.status == 0, answer.err


# ------------------------------------------------------------------ the database edited


@pytest.mark.parametrize("also", ["", "destinations"])
def test_a_repointed_connection_dials_nobody(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, also: str
) -> None:
    """T4: host and port edited in the database; with the list of destinations edited as well."""
    with serving(ScriptedServer([Close()])) as good, serving(_evil()) as evil:
        plain_connection(cli, "imap", good.port, monkeypatch)
        repoint(cli.settings.room, evil.port)
        if also:
            line = (
                f"imap://127.0.0.2:{evil.port};security=none;trust=system;name=checked;proxy=none"
            )
            edit(cli.settings.room, "UPDATE credential_versions SET destinations = ?",
                 json.dumps([line]))  # fmt: skip
        for words in (("connection", "test", "acme"), ("mail", "list", "--via", "acme")):
            answer = cli(*words)
            assert answer.status
            assert not leaks(told(answer))
            assert ("does not open" if also else "may not be presented") in answer.out + answer.err
        assert not good.sessions
        assert not evil.sessions


def swap(room: Path, one: str, other: str) -> None:
    """The sealed values of the current versions of two records exchanged in the database file."""
    current = (
        "SELECT s.blob, s.rowid FROM sealed s JOIN credentials c ON c.id = s.record AND "
        "c.version = s.version WHERE s.kind = 'credential' AND c.name = ?"
    )
    with sqlite3.connect(room / "room.db") as db:
        (first,), (second,) = (db.execute(current, (name,)).fetchall() for name in (one, other))
        for (blob, _), (_, row) in ((first, second), (second, first)):
            assert db.execute("UPDATE sealed SET blob = ? WHERE rowid = ?", (blob, row)).rowcount


def test_swapped_secrets_are_told_dialled_nowhere_and_written_down(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T1: an audit row for each use that found it, and other records go on working."""
    with serving(ScriptedServer(scripts("imap"))) as server:
        plain_connection(cli, "imap", server.port, monkeypatch)
        auth = "incoming.auth={type: secret, credential: %s}"
        for name in ("other", "third"):
            assert cli("credential", "add", name, "--type", "password", "--user-name", "u",
                       "--password-from-env", "PW").status == 0  # fmt: skip
            assert cli("connection", "copy", "acme", name, "--rebind").status == 0
            answer = cli("connection", "set", name, "--rebind", "--set", auth % name)
            assert answer.status == 0, answer.err
        swap(cli.settings.room, "login", "other")
        for name in ("acme", "other"):
            answer = cli("connection", "test", name)
            assert "does not open" in answer.out + answer.err
            assert answer.status
        assert not server.sessions
        assert "refused" in cli("connection", "test", "third").out  # this one got as far as that
        assert server.sessions
        rows = cli("audit", "list", "--json").json["items"]
        found = {row["name"] for row in rows if row["action"] == "unreadable"}
        assert found == {"login", "other"}
        assert cli("audit", "verify").status == 0


def test_a_save_after_an_edited_host_binds_nothing_silently(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T26: another change does not adopt a host that was edited underneath."""
    with serving(ScriptedServer([Close()])) as good, serving(_evil()) as evil:
        plain_connection(cli, "imap", good.port, monkeypatch)
        edit(cli.settings.room, "UPDATE credential_versions SET presented_at = 1.0")
        repoint(cli.settings.room, evil.port)
        cli("connection", "set", "acme", "--set", "description=new")
        cli("credential", "set", "login", "--user-name", "v@example.com")
        assert cli("connection", "test", "acme").status
        assert not evil.sessions


def _evil() -> ScriptedServer:
    return ScriptedServer([Close()], host="127.0.0.2")


def repoint(room: Path, port: int) -> None:
    """Another host in the database file."""
    place = "json_set(body, '$.incoming.host', ?, '$.incoming.port', ?)"
    edit(room, f"UPDATE connections SET body = {place}", "127.0.0.2", str(port))


# ------------------------------------------------------------------ servers that talk back

ESCAPES = b"\x1b]0;owned\x07\x1b[2J\x9b31m\xc2\x9b1m\xe2\x80\xae"


def scripts(protocol: str, word: bytes = CANARY.encode()) -> Sequence[Step]:
    """A server that repeats the sign-in in its refusal, in the clear and as it came."""
    told = ESCAPES + b" no: {what} " + word + b" " + word.hex().encode()
    if protocol == "smtp":
        return [
            Send(b"220 " + ESCAPES + b"\r\n"),
            scripted.Answer(
                {
                    rb"EHLO .*": b"250-here " + ESCAPES + b"\r\n250 AUTH PLAIN\r\n",
                    rb"AUTH (?P<what>.*)": b"535 " + told + b"\r\n",
                    rb"(?P<what>.*)": b"221 bye\r\n",
                }
            ),
        ]
    if protocol == "imap":
        return [
            Send(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] " + ESCAPES + b"\r\n"),
            scripted.Answer(
                {
                    rb"(?P<tag>\S+) (AUTHENTICATE|LOGIN) (?P<what>.*)": b"{tag} NO "
                    + told
                    + b"\r\n",
                    rb"(?P<tag>\S+) .*": b"{tag} OK done\r\n",
                }
            ),
        ]
    return [
        Send(b"+OK " + ESCAPES + b"\r\n"),
        scripted.Answer(
            {
                rb"CAPA": b"+OK\r\nUSER\r\nSASL PLAIN\r\n.\r\n",
                rb"USER .*": b"+OK\r\n",
                rb"(?P<what>AUTH .*|PASS .*|\S+=*)": b"-ERR " + told + b"\r\n",
                rb".*": b"+OK\r\n",
            }
        ),
    ]


@pytest.mark.parametrize("protocol", ["smtp", "imap", "pop3"])
def test_what_a_hostile_server_says_shows_no_secret_and_steers_no_terminal(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, protocol: str
) -> None:
    """T34, T64: by every verb that dials, for people and for programs, with the log on."""
    with serving(ScriptedServer(scripts(protocol))) as server:
        plain_connection(cli, protocol, server.port, monkeypatch)
        if protocol == "smtp":
            sending = ("send", "--via", "acme", "--to", "a@example.com", "--text", "x", "--wait")
            dialling = [(*sending, "1s"), ("outbox", "list"), ("outbox", "drain")]
        else:
            assert cli("source", "add", "in", "--connection", "acme", "--set",
                       "sink.type=directory", "--set", f"sink.path={tmp_path}").status == 0  # fmt: skip
            dialling = [("mail", "list", "--via", "acme"), ("source", "run", "in")]
            dialling += [("source", "show", "in"), ("source", "list")]
        for words in (("connection", "test", "acme"), *dialling, ("audit", "list")):
            for mode in ((), ("--json", "--verbose")):
                answer = cli(*words, *mode)
                assert not leaks(told(answer)), (words, answer)
                assert not steering(told(answer)), (words, answer)
        assert server.sessions
    for path in cli.settings.room.rglob("*"):
        assert not path.is_file() or not leaks(path.read_bytes()), path


def steering(told: bytes) -> list[str]:
    """Characters that a terminal obeys or hides."""
    return [c for c in told.decode("utf-8", "replace") if c != "\n" and not c.isprintable()]


# ------------------------------------------------------------------ every verb


@pytest.mark.bares("file", why="room files that are refused hold some in the clear")
def test_no_verb_shows_a_secret(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """T25, T31: canaries in every kind of sealed field, every verb that shows, and what is wrong."""
    monkeypatch.setenv("PW", CANARY)
    making = (
        ("credential", "add", "c-password", "--type", "password", "--user-name", "u",
         "--password-from-env", "PW"),
        ("credential", "add", "c-secret", "--type", "secret", "--value-from-env", "PW"),
        ("credential", "add", "c-smtp", "--type", "smtp", "--description", "A server of the tests",
         "--host", "127.0.0.1", "--port", "1", "--user-name", "u@example.com", "--password-from-env", "PW"),
        ("credential", "add", "c-graph", "--type", "msgraph", "--tenant-id", "example.com",
         "--client-id", "11111111-2222-3333-4444-555555555555",
         "--client-secrets.a.value-from-env", "PW"),
        ("credential", "add", "c-oauth", "--type", "oauth_client", "--client-id", "an-app",
         "--authority", "https://login.example.com",
         "--client-secrets.a.value-from-env", "PW"),
        ("credential", "add", "c-generic", "--type", "generic", "--api-key-from-env", "PW"),
        ("connection", "add", "acme", "--set", "incoming.protocol=imap", "--set",
         "incoming.host=127.0.0.1", "--set", "incoming.port=1", "--set", "incoming.security=none",
         "--set", "incoming.auth={type: secret, credential: c-password}"),
        ("service", "add", "out", "--connection", "credential:c-smtp"),
    )  # fmt: skip
    for step in making:
        answer = cli(*step)
        assert answer.status == 0, answer.err
        assert not leaks(told(answer))
    (tmp_path / "mask.yaml").write_text(
        "postroom: 1\ncredentials:\n  - {name: c-secret, fields: {value: {from_env: MASK}}}\n"
    )
    (tmp_path / "open.yaml").write_text(
        f"postroom: 1\ncredentials:\n  - {{name: c-new, type: generic, fields: {{k: {CANARY}}}}}\n"
    )
    (tmp_path / "tag.yaml").write_text(f"postroom: 1\ncredentials: !!int {CANARY}\n")
    (tmp_path / "alias.yaml").write_text(f"postroom: 1\ncredentials: *{CANARY.replace('/', '')}\n")
    names = ("c-password", "c-secret", "c-smtp", "c-graph", "c-oauth", "c-generic")
    showing = (
        *(("credential", "show", name) for name in names),
        ("credential", "list"), ("credential", "usage", "c-password"),
        ("credential", "test", "c-smtp"), ("credential", "test", "c-secret"),
        ("credential", "set", "c-secret", "--value-from-env", "MASK"),
        ("credential", "set", "c-smtp", "--password-from-env", "PW", "--port", "0"),
        ("credential", "set", "c-graph", "--private-key-from-env", "PW"),
        ("credential", "set", "c-secret", "--type", "smtp"),
        ("credential", "set", "c-secret", "--value", CANARY[:4]),
        ("connection", "show", "acme"), ("connection", "test", "acme"), ("connection", "list"),
        ("apply", str(tmp_path / "mask.yaml")), ("apply", str(tmp_path / "open.yaml")),
        ("apply", str(tmp_path / "tag.yaml")), ("apply", str(tmp_path / "alias.yaml")),
        ("send", "--via", "out", "--to", "a@example.com", "--text", "x", "--wait", "0s"),
        ("outbox", "drain"), ("export",), ("audit", "list"), ("audit", "verify"),
        ("keys", "status"), ("service", "show", "out"), ("mail", "list", "--via", "acme"),
        ("variable", "set", "X", "${sec:c-secret}"),
    )  # fmt: skip
    monkeypatch.setenv("MASK", "****7391")
    for words in showing:
        for mode in ((), ("--json", "--verbose")):
            answer = cli(*words, *mode)
            assert not leaks(told(answer)), (words, answer)
            assert "Traceback" not in answer.err, (words, answer)
    for path in cli.settings.room.rglob("*"):
        assert not path.is_file() or not leaks(path.read_bytes()), path


# ------------------------------------------------------------------ files


async def test_everything_a_room_makes_is_private(cli: Cli, tmp_path: Path) -> None:
    """Whatever the umask: the directory, the database with its journal, the seats, the key."""
    old = os.umask(0)
    try:
        open_room = tmp_path / "wide"
        made = Cli(type(cli.settings)(open_room, f"file:{tmp_path / 'k' / 'key'}"), cli._capsys)
        assert (await run(made, "init")).status == 0
        assert (await run(made, "outbox", "drain")).status == 0
    finally:
        os.umask(old)
    for path in (open_room, *open_room.rglob("*"), tmp_path / "k", tmp_path / "k" / "key"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


async def test_several_first_runs_make_one_room(cli: Cli, tmp_path: Path) -> None:
    """T15: whoever is slower finds what the faster made."""
    made = Cli(type(cli.settings)(tmp_path / "race", f"file:{tmp_path / 'k' / 'key'}"), cli._capsys)
    ended = await asyncio.gather(*(run(made, "init") for _ in range(4)))
    assert [one.status for one in ended] == [0] * 4, [one.told for one in ended]
    assert (await run(made, "keys", "status")).status == 0


def test_a_link_in_the_place_of_the_database_is_refused(cli: Cli, tmp_path: Path) -> None:
    """SQLite would make the file it leads to, wherever that is."""
    room = tmp_path / "linked"
    room.mkdir()
    (room / "room.db").symlink_to(tmp_path / "elsewhere")
    settings = cli.settings._replace(room=room)
    answer = Cli(settings, cli._capsys)("init")
    assert answer.status == 78
    assert "link" in answer.err
    assert not (tmp_path / "elsewhere").exists()


# ------------------------------------------------------------------ keys


@pytest.mark.parametrize("there", [True, False])
def test_init_with_another_key_says_so_and_makes_nothing(
    cli: Cli, tmp_path: Path, there: bool
) -> None:
    """T13, T14: exit 78 with the id that is wanted; no key appears, the room stays as it is."""
    other = tmp_path / "keys" / "other"
    if there:
        other.write_text(base64.b64encode(bytes(32)).decode())
        other.chmod(0o600)
    before = (cli.settings.room / "room.db").read_bytes()
    wanted = cli("keys", "status", "--json").json
    answer = Cli(cli.settings._replace(kek=f"file:{other}"), cli._capsys)("init")
    assert answer.status == 78
    assert "wants" in answer.err
    assert "Keep a copy" not in answer.out
    assert other.exists() == there
    assert (cli.settings.room / "room.db").read_bytes() == before
    assert wanted == cli("keys", "status", "--json").json


def test_a_locked_room_dials_nobody_and_sends_nothing(cli: Cli, tmp_path: Path) -> None:
    """DESIGN 4.1: what cannot be written down is not done, also where no secret is wanted."""
    with serving(ScriptedServer([Close()])) as server:
        steps = (
            ("connection", "add", "acme", "--set", "incoming.protocol=imap",
             "--set", "incoming.host=127.0.0.1", "--set", f"incoming.port={server.port}",
             "--set", "incoming.security=none", "--set", "outgoing.protocol=smtp",
             "--set", "outgoing.host=127.0.0.1", "--set", f"outgoing.port={server.port}",
             "--set", "outgoing.security=none"),
            ("service", "add", "out", "--connection", "acme"),
            ("send", "--via", "out", "--from", "a@example.com", "--to", "b@example.com",
             "--text", "x", "--forget"),
        )  # fmt: skip
        for step in steps:
            assert cli(*step).status == 0
        (tmp_path / "keys" / "room.key").unlink()
        for words in (
            ("outbox", "drain"), ("mail", "list", "--via", "acme"),
            ("send", "--via", "out", "--from", "a@example.com", "--to", "b@example.com",
             "--text", "x"),
        ):  # fmt: skip
            assert cli(*words).status == 78
        assert cli("connection", "test", "acme").status == 78
        assert cli("outbox", "list").status == 0
        assert not server.sessions


# ------------------------------------------------------------------ values


def test_a_secret_that_is_no_text_is_taken_or_refused_in_a_sentence(
    cli: Cli, tmp_path: Path
) -> None:
    """T32: bytes of another character set, from a file."""
    file = tmp_path / "latin-1"
    file.write_bytes(b"canary-caf\xe9\xe9\xe9\xe9")
    for type_, flag in (("password", "--password-from-file"), ("secret", "--value-from-file")):
        cli("credential", "add", type_, "--type", type_, flag, str(file))
        answer = cli("credential", "show", type_)
        assert answer.status == 0
        assert "****" in answer.out
        assert "canary" not in answer.out
        assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    "words",
    [
        ("--type", "msgraph", "--set", f"client_secrets.a.value={CANARY}"),
        ("--type", "msgraph", "--client-secrets", f"{{a: {{value: {CANARY}}}}}"),
        ("--type", "oauth_client", "--set", f"client_secrets={{a: {{value: {CANARY}}}}}"),
        ("--type", "generic", "--set", f"api_key={CANARY}"),
        ("--type", "generic", "--set", f"api_key={{value: {CANARY}}}"),
        ("--type", "password", "--password", CANARY),
        ("--type", "password", "--set", f"password={CANARY}"),
    ],
)
def test_no_flag_takes_a_secret_from_the_command_line(cli: Cli, words: tuple[str, ...]) -> None:
    """T31: every process of the machine can read argv; also inside maps and custom fields."""
    answer = cli("credential", "add", "x", *words)
    assert answer.status == 2
    assert "secret" in answer.err
    assert not leaks(told(answer))
    assert cli("credential", "show", "x").status == 2
