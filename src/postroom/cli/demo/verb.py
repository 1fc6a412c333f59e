"""``postroom demo``: the main job over real servers on this machine, in a few seconds."""

from __future__ import annotations

import asyncio
import secrets
import shlex
import shutil
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from postroom.app import Room, open_room
from postroom.cli.demo.mailbox import ADDRESS, MailboxFacts, fill
from postroom.cli.demo.servers import DemoServers, check_extra, demo_servers
from postroom.cli.options import OPTIONS
from postroom.cli.progress import collecting
from postroom.cli.run import loaded
from postroom.cli.show import document, size
from postroom.cli.verbs import Verbs
from postroom.errors import Refused
from postroom.log import log_to
from postroom.secret import Secret
from postroom.settings import Settings

__all__ = ["app"]

app = Verbs()

_MARK = ".made-by-postroom-demo"


@app.verb()
def demo(
    messages: Annotated[int, typer.Option(help="Messages in the mailbox.", min=1)] = 200,
) -> None:
    """Collect a mailbox into a directory and send a message, over servers nobody here wrote."""
    log_to(level="DEBUG" if OPTIONS.verbose else "ERROR")
    check_extra()
    room = Path(OPTIONS.room or "demo-room").absolute()
    loaded()
    asyncio.run(_Demo(room, messages).run())


class _Demo:
    """One run of the demo: the room beside a directory of files for everything else."""

    def __init__(self, room: Path, messages: int) -> None:
        self._room_path = room
        self._files = room.with_name(room.name + "-files")
        self._messages = messages
        self._rows: list[tuple[str, str]] = []

    async def run(self) -> None:
        self._begin_anew()
        facts = fill(self._files / "servers" / "mailbox", self._messages)
        password = secrets.token_urlsafe(18)
        _say("1. Starting an IMAP server (pymap) and an SMTP server (aiosmtpd) on loopback ...")
        async with demo_servers(self._files / "servers", ADDRESS, password) as servers:
            settings = Settings(self._room_path, f"file:{self._files / 'room.key'}")
            room = await open_room(settings, make=True)
            try:
                await self._wire(room, servers, Secret(password))
                await self._collect(room, facts)
                await self._send(room)
            finally:
                await room.close()
        self._table()

    def _begin_anew(self) -> None:
        """Remove what an earlier demo left; refuse to touch anything else."""
        if self._room_path.exists() and not (self._files / _MARK).exists():
            raise Refused(
                f"{self._room_path} is there already, and no demo made it.",
                hint="Run the demo in another directory, or give --room PATH.",
            )
        for path in (self._room_path, self._files):
            shutil.rmtree(path, ignore_errors=True)
        self._files.mkdir(parents=True)
        (self._files / _MARK).touch()

    async def _wire(self, room: Room, servers: DemoServers, password: Secret) -> None:
        _say("2. Making a room, sealing the password, connecting ...")
        await room.credentials.create(
            "demo-ca", "trusted_certificate", details={"certificate": servers.ca_pem}
        )
        await room.credentials.create(
            "demo-login",
            "password",
            description="Signs in to both demo servers",
            details={"user_name": servers.user, "password": password},
        )
        auth = {"type": "secret", "credential": "demo-login"}
        side = {"host": servers.address, "security": "tls", "trust": "demo-ca", "auth": auth}
        await room.connections.add(
            {
                "name": "demo",
                "incoming": {"protocol": "imap", "port": str(servers.imap_port), **side},
                "outgoing": {"protocol": "smtp", "port": str(servers.smtp_port), **side},
            }
        )
        await room.sources.add(
            {
                "name": "orders-in",
                "connection": "demo",
                "sink": {"type": "directory", "path": str(self._files / "collected")},
            }
        )
        await room.services.add({"name": "orders-out", "connection": "demo"})
        shown = await room.credentials.show("demo-login")
        report = await room.connections.test("demo")
        if report.error is not None:
            raise report.error
        took = sum(step.ms for step in report.steps)
        self._rows += [
            ("password", f"sealed with AES-256-GCM, shown as {shown['fields']['password']}"),
            ("connection test", f"{len(report.steps)} steps ok in {took:.0f} ms"),
        ]

    async def _collect(self, room: Room, facts: MailboxFacts) -> None:
        _say(f"3. Collecting {facts.count} messages ({size(facts.bytes)}) into a directory ...")
        begun = time.perf_counter()
        with collecting("orders-in") as progress:
            tally = await room.collecting.run("orders-in", progress=progress)
        seconds = time.perf_counter() - begun
        if tally is None or tally.delivered != facts.count:
            raise Refused(f"{facts.count} messages were expected: {tally}.")
        self._rows += [
            ("collected", f"{tally.delivered} messages, {size(tally.bytes)}, in {seconds:.2f} s"),
            ("recorded", _counts(await room.ledger.counts("orders-in"))),
        ]

    async def _send(self, room: Room) -> None:
        _say("4. Sending a message through the outbox, back into that mailbox ...")
        begun = time.perf_counter()
        letter = {
            "via": "orders-out",
            "to": ADDRESS,
            "subject": "Hello from Postroom",
            "text": "This went through a durable outbox.\n",
            "wait": "60s",
        }
        item = await room.commands.run("send-email", letter)
        seconds = time.perf_counter() - begun
        reply = item["recipients"][0]
        told = f"{item['state']} to {reply['address']} in {seconds:.2f} s, reply {reply['code']}"
        self._rows.append(("sent", told))
        _say("5. Collecting again ...")
        tally: Any = None
        for _ in range(20):  # the server files what it accepted a moment later
            tally = await room.collecting.run("orders-in")
            if tally is None or tally.delivered:
                break
            await asyncio.sleep(0.1)
        newest = (await room.ledger.list("orders-in", limit=1))[0]
        self._rows += [
            ("collected again", f"{tally.delivered if tally else 0} message: {newest.subject}"),
            ("audit record", "whole" if not await room.audit.verify() else "BROKEN"),
        ]

    def _table(self) -> None:
        if OPTIONS.json:
            places = {"room": str(self._room_path), "files": str(self._files)}
            print(document({**places, "happened": dict(self._rows)}))
            return
        width = max(len(name) for name, _ in self._rows)
        print("\nWhat happened")
        for name, text in self._rows:
            print(f"  {name:<{width}}  {text}")
        here = Path.cwd()
        room, files = _short(self._room_path, here), _short(self._files, here)
        command = _command(here)
        print(
            f"\nWhere to look\n"
            f"  {files}/collected/INBOX  the messages, exact bytes\n"
            f"  {room}/room.db  the room: one SQLite file\n"
            f"  {files}/room.key  its key, kept outside the room\n"
            f"\nTry (the demo's servers have ended; the room is still there)\n"
            f"  export POSTROOM_ROOM={shlex.quote(room)} "
            f"POSTROOM_KEK={shlex.quote(f'file:{files}/room.key')}\n"
            f"  {command} source ledger orders-in\n"
            f"  {command} credential show demo-login\n"
            f"  {command} outbox list\n"
            f"  {command} audit list"
        )


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in counts.items())


def _command(here: Path) -> str:
    """What to type for ``postroom``: after ``make demo`` it is not on the PATH."""
    ours = Path(sys.argv[0]).absolute()
    if shutil.which("postroom"):
        return "postroom"
    if ours.name == "__main__.py":  # python -m postroom
        return f"{shlex.quote(sys.executable)} -m postroom"
    return shlex.quote(_short(ours, here))


def _short(path: Path, here: Path) -> str:
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
