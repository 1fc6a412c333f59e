"""The asynchronous library: a room, its services and the folders of its connections."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from postroom.app import Room
from postroom.connections.report import Report
from postroom.jobs.commands import (
    CopyEmail,
    DeleteEmail,
    FlagEmail,
    ListFolders,
    MoveEmail,
    SaveEmail,
    SendEmail,
)
from postroom.mail import Attachment, Message
from postroom.mail.addresses import AddressInput
from postroom.operations.accounts import Accounts
from postroom.operations.audit import Audit
from postroom.operations.backup import Backup
from postroom.operations.bench import Workbench
from postroom.operations.client_secrets import ClientSecrets
from postroom.operations.collecting import Collecting
from postroom.operations.commands import Command, Commands, Result
from postroom.operations.connections import Connections
from postroom.operations.converting import Converting
from postroom.operations.credentials import Credentials
from postroom.operations.erasing import Erasing
from postroom.operations.grants import Grants
from postroom.operations.guiding import Guides
from postroom.operations.health import Health
from postroom.operations.jobs import Jobs
from postroom.operations.keys import Keys
from postroom.operations.ledger import Ledger
from postroom.operations.notify import Notify
from postroom.operations.outbox import Outbox
from postroom.operations.roomfile import RoomFile
from postroom.operations.runs import Runs
from postroom.operations.services import Services
from postroom.operations.signins import SignIns
from postroom.operations.sources import Sources
from postroom.operations.tokens import Tokens
from postroom.operations.users import Users
from postroom.operations.variables import Variables
from postroom.operations.versions import Versions
from postroom.services.outbox import Item

__all__ = [
    "AsyncConnection",
    "AsyncFolder",
    "AsyncRoom",
    "AsyncService",
    "FolderMessage",
]


class AsyncRoom:
    """An opened room.  The attributes named like nouns carry that noun's operations."""

    accounts: Accounts
    audit: Audit
    backup: Backup
    client_secrets: ClientSecrets
    collecting: Collecting
    commands: Commands
    connections: Connections
    converting: Converting
    credentials: Credentials
    erasing: Erasing
    grants: Grants
    guides: Guides
    health: Health
    jobs: Jobs
    keys: Keys
    ledger: Ledger
    notify: Notify
    outbox: Outbox
    roomfile: RoomFile
    runs: Runs
    services: Services
    signins: SignIns
    sources: Sources
    tokens: Tokens
    users: Users
    variables: Variables
    versions: Versions

    def __init__(self, room: Room) -> None:
        self._room = room
        for noun in AsyncRoom.__annotations__:
            setattr(self, noun, getattr(room, noun))

    async def do(self, command: Command) -> Result:
        """Do a built-in command: ``do(MoveEmail(via="acme", ids=[...], to="Done"))``.

        Gives what the command says that it gives.  Raises PostroomError; what can be refused is refused
        before anything is touched.
        """
        return await self.commands.do(command)

    def service(self, name: str) -> AsyncService:
        """The service, connection or smtp credential to send with."""
        return AsyncService(self._room, name)

    def connection(self, name: str, *, mailbox: str = "") -> AsyncConnection:
        """A connection, to read its folders or test it; ``mailbox``: another than its own (Graph)."""
        return AsyncConnection(self._room, name, mailbox)


class AsyncService:
    """Sending: ``await room.service("orders-out").send(to="a@example.com", subject="Hello", text="...")``."""

    def __init__(self, room: Room, name: str) -> None:
        self._room = room
        self._name = name

    async def send(
        self,
        *,
        to: AddressInput = None,
        subject: str = "",
        text: str | None = None,
        html: str | None = None,
        cc: AddressInput = None,
        bcc: AddressInput = None,
        from_: AddressInput = None,
        reply_to: AddressInput = None,
        attachments: Sequence[Attachment | Path | str] = (),
        headers: Mapping[str, str] | None = None,
        wait: float = 60.0,
        idempotency_key: str | None = None,
    ) -> Item:
        """Store a message durably and send it; one outcome for each recipient.

        Waits at most ``wait`` seconds; an item that is not finished then stays in the outbox.
        ``attachments`` are paths or :class:`postroom.mail.Attachment`.
        """
        command = SendEmail(
            via=self._name,
            to=to,
            subject=subject,
            text=text,
            html=html,
            cc=cc,
            bcc=bcc,
            from_=from_,
            reply_to=reply_to,
            attachments=attachments,
            headers=headers or {},
            wait=float(wait),
            key=idempotency_key or "",
        )
        sent = await self._room.commands.do(command)
        return await self._room.outbox.show(sent["id"])

    async def send_and_forget(
        self,
        *,
        to: AddressInput = None,
        subject: str = "",
        text: str | None = None,
        html: str | None = None,
        cc: AddressInput = None,
        bcc: AddressInput = None,
        from_: AddressInput = None,
        reply_to: AddressInput = None,
        attachments: Sequence[Attachment | Path | str] = (),
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> str:
        """Store a message durably and return at once; gives the outbox item's id."""
        command = SendEmail(
            via=self._name,
            to=to,
            subject=subject,
            text=text,
            html=html,
            cc=cc,
            bcc=bcc,
            from_=from_,
            reply_to=reply_to,
            attachments=attachments,
            headers=headers or {},
            key=idempotency_key or "",
        )
        return str((await self._room.commands.do(command))["id"])


class AsyncConnection:
    """A connection: its folders, and the test that walks it step by step."""

    def __init__(self, room: Room, name: str, mailbox: str = "") -> None:
        self._room = room
        self._name = name
        self._mailbox = mailbox

    async def folders(self) -> list[str]:
        """The names of its folders."""
        command = ListFolders(via=self._name, mailbox=self._mailbox)
        return [one["name"] for one in (await self._room.commands.do(command))["items"]]

    def folder(self, name: str = "INBOX") -> AsyncFolder:
        """One folder, by name or by special use (``\\Archive``)."""
        return AsyncFolder(self._room, self._name, name, self._mailbox)

    async def test(self) -> Report:
        """Walk both sides step by step, from resolving the name to signing in."""
        return await self._room.connections.test(self._name)


class FolderMessage(Message):
    """A message as it was read from a folder: a :class:`postroom.mail.Message` with its id and flags."""

    def __init__(self, raw: bytes, id: str, flags: frozenset[str]) -> None:
        super().__init__(raw)
        self.id = id
        self.flags = flags


class AsyncFolder:
    """A folder.  Each call opens the connection anew and closes it; reading leaves messages unseen."""

    def __init__(self, room: Room, connection: str, folder: str, mailbox: str = "") -> None:
        self._room = room
        self._connection = connection
        self._folder = folder
        self._mailbox = mailbox

    async def search(
        self, text: str = "all", *, limit: int = 0, after: str = ""
    ) -> AsyncIterator[FolderMessage]:
        """The messages that meet a search, newest first, each read when it is asked for.

        ``limit`` 0: all of them; ``after``: those behind the message of this id.  Raises NotThere.
        """
        async with self._bench() as bench:
            box = await bench.box(self._connection, self._mailbox)
            for summary in await box.search(text, self._folder, limit=limit, after=after):
                content = await box.read(summary.id, self._folder)
                try:
                    yield FolderMessage(content.bytes(), summary.id, summary.flags)
                finally:
                    content.discard()

    async def read(self, id: str) -> Message:  # the word of the wire
        """One message by the id that listing and searching give.  Raises NotThere."""
        async with self._bench() as bench:
            box = await bench.box(self._connection, self._mailbox)
            return await box.read_message(id, self._folder)

    def _bench(self) -> Workbench:
        return Workbench(self._room.desk)

    async def save(self, ids: Sequence[str], directory: str | Path) -> list[Path]:
        """Write the exact bytes of messages to files; nothing there is overwritten."""
        saved = await self._do(SaveEmail, ids, to=str(directory))
        return [Path(path) for path in saved["paths"]]

    async def move(self, ids: Sequence[str], to: str, *, create: bool = False) -> dict[str, str]:
        """Move messages; gives the new id of each where the server tells."""
        moved = await self._do(MoveEmail, ids, to=to, create=create)
        return dict(moved["by_id"])

    async def copy(self, ids: Sequence[str], to: str, *, create: bool = False) -> dict[str, str]:
        """Copy messages; gives the new id of each where the server tells."""
        copied = await self._do(CopyEmail, ids, to=to, create=create)
        return dict(copied["by_id"])

    async def flag(
        self, ids: Sequence[str], *, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> None:
        """Set and clear flags: seen, answered, flagged, deleted, draft, and keywords."""
        await self._do(FlagEmail, ids, add=list(add), remove=list(remove))

    async def delete(self, ids: Sequence[str]) -> bool:
        """Delete exactly these; False when the server could only mark them as deleted."""
        return bool((await self._do(DeleteEmail, ids))["gone"])

    async def _do(self, command: type[Command], ids: Sequence[str], **more: Any) -> Result:
        where = {"via": self._connection, "mailbox": self._mailbox, "folder": self._folder}
        return await self._room.commands.do(command(ids=list(ids), **where, **more))
