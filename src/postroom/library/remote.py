"""A served room: the attributes and methods of an opened one, made of the same table of doors."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from postroom.app import NOUNS
from postroom.connections.saving import write_attachments, write_new
from postroom.errors import PostroomError, Refused
from postroom.jobs.commands import ListEmail, ReadEmail, SaveEmail
from postroom.jobs.commands.saving import Saving, written
from postroom.jobs.commands.sending import attachments_of
from postroom.library.room import AsyncConnection, AsyncFolder, AsyncRoom, FolderMessage
from postroom.library.wire import Wire, bound
from postroom.mail import Message, safe_name
from postroom.operations.asking import Asked, all_asked
from postroom.operations.commands import Command, Result
from postroom.operations.desk import Rebind
from postroom.operations.doors import HERE_ONLY
from postroom.operations.roomfile import Plan, read_files
from postroom.operations.roomplan import Prompt, Wanted
from postroom.settings import Served

__all__ = ["REMOTE", "Noun", "RemoteConnection", "RemoteFolder", "RemoteRoom", "aopen_served"]

POLL_SECONDS: Final = 0.5
"""How often a run that is done elsewhere is looked at."""


@contextlib.asynccontextmanager
async def aopen_served(served: Served) -> AsyncIterator[RemoteRoom]:
    """Open a served room.  Nothing is asked yet.  Raises InvalidValue for what is no address."""
    wire = Wire(served)
    try:
        yield RemoteRoom(wire)
    finally:
        await wire.close()


# ---------------------------------------------------------------------------- nouns


class Noun:
    """The operations of one noun of a served room."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire


def _only_there(what: str) -> NoReturn:
    """Refuse what has no door, with the reason that the table of doors has."""
    reason = HERE_ONLY.get(what, "wants the files of the room")
    raise Refused(
        f"{what.replace('.', ' ').replace('_', ' ')} is not done from afar: {reason}.",
        code="not_supported",
        hint="Do it on the machine where the room is, without POSTROOM_URL.",
    )


def _noun(noun: str, asked: list[Asked]) -> type[Noun]:
    more = {name for kind in _MORE.get(noun, ()) for name in vars(kind)}
    named = [what.split(".") for what in HERE_ONLY]  # what lies deeper is not there at all
    here = [one[1] for one in named if one[0] == noun and len(one) == 2]
    members: dict[str, Any] = {
        method: _refusal(f"{noun}.{method}") for method in here if method not in more
    }
    members |= {one.door.method: _method(one) for one in asked}
    return type(f"Remote{NOUNS[noun][1]}", (Noun, *_MORE.get(noun, ())), members)


def _refusal(what: str) -> Callable[..., NoReturn]:
    def only_there(_self: Noun, *_given: Any, **_named: Any) -> NoReturn:
        _only_there(what)

    only_there.__name__ = what.partition(".")[2]
    return only_there


def _method(asked: Asked) -> Callable[..., Any]:
    operation = getattr(asked.owner, asked.door.method)

    @functools.wraps(operation)
    async def ask(self: Noun, *given: Any, **named: Any) -> Any:
        return await self._wire.ask(asked, bound(operation, given, named))  # its own

    ask.__signature__ = inspect.signature(operation)  # type: ignore[attr-defined]
    return ask


class _Commands:
    """What objects of commands are for."""

    run: Callable[..., Any]

    async def do(self, command: Command) -> Result:
        """Do a command; files are read and written here, not where the room is."""
        if isinstance(command, Saving):
            return await self._save(command)
        files = getattr(command, "attachments", None)
        if files:
            read = await attachments_of(files, Path())
            command = command.model_copy(update={"attachments": read})
        given = command.model_dump(mode="json", by_alias=True, exclude_unset=True)
        found: Result = await self.run(command.name, given)
        return found

    async def raw(self, where: Mapping[str, Any], id: str) -> bytes:
        """The exact bytes of a message."""
        read = await self.do(ReadEmail(**where, id=id, raw=True))
        return base64.b64decode(read["raw"])

    async def _save(self, command: Saving) -> Result:
        directory = _directory(command.to)
        where = {name: getattr(command, name) for name in ("via", "mailbox", "folder")}
        read = [(one, await self.raw(where, one)) for one in command.ids or ()]
        paths: list[Path] = []
        for one, raw in read:  # all are there before one is written
            if isinstance(command, SaveEmail):
                name = f"{safe_name(one)}.eml"
                paths.append(await asyncio.to_thread(write_new, directory, name, [raw]))
            else:
                paths += await asyncio.to_thread(write_attachments, directory, Message(raw))
        return written(paths)


def _directory(given: str) -> Path:
    return Path(given).expanduser()


class _Runs:
    """What follows a run that is done elsewhere."""

    show: Callable[..., Any]
    log: Callable[..., Any]
    cancel: Callable[..., Any]

    async def follow(
        self, run: str, *, until: asyncio.Task[Any] | None = None
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """The lines of a run's log, as they are written, until it is finished; some at a time."""
        seen = 0
        while True:
            over = (await self.show(run)).finished or (until is not None and until.done())
            while lines := await self.log(run, after=seen):
                seen = lines[-1]["line"]
                yield lines
            if over:
                return
            await asyncio.sleep(POLL_SECONDS)

    async def here(self, run: str, *, roles: Sequence[str] = ()) -> Any:
        """Wait until a worker of the room has done a run; gives it."""
        while True:
            if (found := await self.show(run)).finished:
                return found
            await asyncio.sleep(POLL_SECONDS)

    async def cancel_here(self, run: str, doing: asyncio.Task[Any]) -> None:
        """End a run that this program waits for."""
        with contextlib.suppress(PostroomError):
            await self.cancel(run)
        doing.cancel()
        await asyncio.wait([doing])


class _Services:
    """What is said of a service beside what happens to it."""

    list: Callable[..., Any]
    show: Callable[..., Any]

    async def held(self, name: str) -> bool:
        """Whether an operator holds what is sent through it."""
        return any(one["name"] == name and one["held"] for one in await self.list())

    async def test_command(self, name: str) -> str:
        """The command that tests what a service sends over; ``name`` may be an implicit one."""
        over = name if ":" in name else (await self.show(name))["connection"]
        noun, _, bare = over.rpartition(":")
        return f"postroom {noun or 'connection'} test {bare.partition('/')[0]}"


class _RoomFile:
    """What reads room files where the program is."""

    apply_text: Callable[..., Any]

    def read(self, paths: Sequence[Path], *, prompt: Prompt | None = None) -> Wanted:
        """What the files say.  Raises what is wrong with file and line."""
        return read_files(paths, prompt=prompt)

    async def apply(
        self,
        files: Sequence[Path] | Wanted,
        *,
        dry_run: bool = False,
        rebind: Rebind = False,
        prune: Sequence[str] = (),
        prompt: Prompt | None = None,
    ) -> Plan:
        """Make the room what files here say: their text is sent, and what the references stand for."""
        wanted = files if isinstance(files, Wanted) else self.read(files, prompt=prompt)
        more = {"dry_run": dry_run, "rebind": rebind, "prune": list(prune)}
        plan: Plan = await self.apply_text(wanted.texts, wanted.secrets, **more)
        return plan


_MORE: Final[dict[str, tuple[type, ...]]] = {
    "commands": (_Commands,),
    "roomfile": (_RoomFile,),
    "runs": (_Runs,),
    "services": (_Services,),
}


def _nouns() -> dict[str, type[Noun]]:
    by_noun: dict[str, list[Asked]] = {noun: [] for noun in NOUNS}
    for one in all_asked(NOUNS).values():
        by_noun[one.door.noun].append(one)
    return {noun: _noun(noun, asked) for noun, asked in by_noun.items()}


# ---------------------------------------------------------------------------- the room


class RemoteRoom(AsyncRoom):
    """A room that is served elsewhere; it has what an opened room has, as far as there is a door."""

    warning = ""
    afar = True
    """Whether it is served elsewhere."""

    def __init__(self, wire: Wire) -> None:
        for noun, kind in _NOUNS.items():
            setattr(self, noun, kind(wire))
        self._room: Any = self

    @property
    def desk(self) -> NoReturn:
        """Only where the room is."""
        _only_there("Looking into the room")

    @property
    def settings(self) -> NoReturn:
        """Only where the room is."""
        _only_there("Looking into the room")

    def connection(self, name: str, *, mailbox: str = "") -> RemoteConnection:
        """A connection, to read its folders or test it; ``mailbox``: another than its own (Graph)."""
        return RemoteConnection(self._room, name, mailbox)


class RemoteConnection(AsyncConnection):
    """A connection of a served room."""

    def folder(self, name: str = "INBOX") -> RemoteFolder:
        """One folder, by name or by special use (``\\Archive``)."""
        return RemoteFolder(self._room, self._name, name, self._mailbox)


class RemoteFolder(AsyncFolder):
    """A folder of a served room: what is read there is given here, files are written here."""

    async def search(
        self, text: str = "all", *, limit: int = 0, after: str = ""
    ) -> AsyncIterator[FolderMessage]:
        """The messages that meet a search, newest first, each read when it is asked for."""
        command = ListEmail(**self._where, search=text, limit=limit, after=after)
        listed = await self._room.commands.do(command)
        for one in listed["items"]:
            yield FolderMessage(await self._raw(one["id"]), one["id"], frozenset(one["flags"]))

    async def read(self, id: str) -> Message:
        """One message by the id that listing and searching give.  Raises NotThere."""
        return Message(await self._raw(id))

    async def save(self, ids: Sequence[str], directory: str | Path) -> list[Path]:
        """Write the exact bytes of messages to files here; nothing there is overwritten."""
        command = SaveEmail(**self._where, ids=list(ids), to=str(directory))
        return [Path(path) for path in (await self._room.commands.do(command))["paths"]]

    async def _raw(self, id: str) -> bytes:
        commands: Any = self._room.commands
        found: bytes = await commands.raw(self._where, id)
        return found

    @property
    def _where(self) -> dict[str, Any]:
        return {"via": self._connection, "mailbox": self._mailbox, "folder": self._folder}


_NOUNS: Final = _nouns()
REMOTE: Final[tuple[type, ...]] = (
    RemoteRoom, RemoteConnection, RemoteFolder, *_NOUNS.values(),
)  # fmt: skip
"""What is made for synchronous programs too."""
