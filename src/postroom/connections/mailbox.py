"""The mailbox: the verbs of the incoming side, the same on every wire."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar, cast

from postroom import clock
from postroom.connections.criteria import parse_criteria
from postroom.connections.fitting import fitting
from postroom.connections.paging import behind, newest_behind
from postroom.connections.saving import write_attachments, write_new
from postroom.errors import FolderError, InvalidValue, NotThere, PostroomError, Refused, WireError
from postroom.mail import Message, safe_name
from postroom.protocols.base import Content, Folder, MessageStore, OpenSpool, Summary
from postroom.protocols.content import chunks
from postroom.protocols.newest import Newest

__all__ = ["FLAGS", "LISTED_HEADERS", "Deleted", "Mailbox"]

LISTED_HEADERS: Final = ("From", "To", "Subject", "Date", "Message-ID")
"""The header fields that a listing brings along."""

FLAGS: Final = ("seen", "answered", "flagged", "deleted", "draft")

# the verb `list` takes the name of the type inside the class
_Summaries = list[Summary]
_Paths = list[Path]
_Lines = list[dict[str, Any]]
_Ids = list[str]

P = ParamSpec("P")
T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class Deleted:
    """How many messages a deletion met, and whether they are gone.

    Not gone: the server can only mark them as deleted (no UIDPLUS), and something else removes
    them later.
    """

    count: int
    gone: bool


def _alone(
    verb: Callable[Concatenate[Mailbox, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Mailbox, P], Coroutine[Any, Any, T]]:
    """A verb that has the store for itself: a store does one thing at a time."""

    @functools.wraps(verb)
    async def alone(self: Mailbox, /, *args: P.args, **named: P.kwargs) -> T:
        async with self._using():
            return await verb(self, *args, **named)

    return alone


class Mailbox:  # gauge: one method a verb of the incoming side; two halves would be one object twice
    """An open message store with the verbs people use.  ``spool`` takes large messages.

    Every verb looks at what the store can do (one of a read-only connection changes nothing), and
    refuses before it touches anything.  Ids are those that :meth:`list` and :meth:`search` give.
    """

    def __init__(self, store: MessageStore, spool: OpenSpool) -> None:
        self._store = store
        self._spool = spool
        self._turn = asyncio.Lock()
        self._used = clock.monotonic()
        self._lost = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *reason: object) -> None:
        if reason[0] is None:
            await self.close()
        else:
            self._store.abandon()

    async def close(self) -> None:
        """Close it, where its connection was lost without a word; deletions on POP3 happen now."""
        if self._lost:
            self._store.abandon()
        else:
            await self._store.close()

    @contextlib.asynccontextmanager
    async def _using(self) -> AsyncIterator[None]:
        """One verb at a time; what a verb leaves half done behind it ends the use of the store."""
        async with self._turn:
            try:
                yield
            except FolderError as error:
                if error.facts.get("ids"):  # of another folder, or of another life of this one
                    raise NotThere(
                        error.sentence, hint=error.hint, ids=error.facts["ids"]
                    ) from error
                raise
            except PostroomError as error:
                self._lost |= isinstance(error, WireError)
                raise
            except BaseException:  # cancelled in the middle of an answer
                self._lost = True
                raise
            finally:
                self._used = clock.monotonic()

    async def alive(self, idle: float) -> bool:
        """Whether it can be used further; after ``idle`` seconds without use the server is asked."""
        if not self._lost and clock.monotonic() - self._used >= idle:
            with contextlib.suppress(WireError):
                async with self._using():
                    await self._store.check()
        return not self._lost

    # ------------------------------------------------------------------ looking

    @_alone
    async def folders(self) -> Sequence[Folder]:
        """Every folder, in the server's order; on POP3 the one there is, INBOX."""
        if not self._store.features.folders:
            return [Folder("INBOX")]
        return await self._store.folders()

    @_alone
    async def list(self, folder: str = "INBOX", *, limit: int = 50, after: str = "") -> _Summaries:
        """The newest messages of a folder, newest first, with :data:`LISTED_HEADERS`.

        ``limit`` 0: all of them; ``after``: those behind the message of this id.  Raises NotThere.
        """
        await _open(self._store, folder, read_only=True)
        if self._store.features.newest:
            able = cast(Newest, self._store)
            return await newest_behind(
                able, limit=limit, after=after, folder=folder, headers=LISTED_HEADERS
            )
        ids = [summary.id async for summary in _every(self._store)]
        page = behind(ids, limit=limit, after=after, folder=folder)
        return await _described(self._store, page)

    @_alone
    async def search(
        self, text: str = "all", folder: str = "INBOX", *, limit: int = 0, after: str = ""
    ) -> _Summaries:
        """The messages that meet a search (see :func:`parse_criteria`), newest first, as :meth:`list`.

        Where the server cannot search, the messages are read and looked at here.  Raises
        InvalidValue, Refused(``not_supported``) for flags where the wire has none.
        """
        criteria = dataclasses.replace(parse_criteria(text), sizes=self._store.features.sizes)
        if criteria.wants_flags and not self._store.features.flags:
            raise _not_supported("This wire (POP3) has no flags, so it cannot be searched by them.")
        await _open(self._store, folder, read_only=True)
        if self._store.features.search:
            ids = await self._store.search(criteria.program)
            if (rest := criteria.rest) is not None:
                ids = await fitting(self._store, self._spool, ids, rest)
        else:
            everything = [summary.id async for summary in _every(self._store)]
            ids = await fitting(self._store, self._spool, everything, criteria)
        found = f"what this search finds in {folder} now"
        page = behind(ids, limit=limit, after=after, folder=found)
        return await _described(self._store, page)

    async def lines(
        self, text: str = "", *, folder: str = "INBOX", limit: int = 0, after: str = ""
    ) -> _Lines:
        """As :meth:`search`, or :meth:`list` without a text: one mapping a message, for doors.

        Keys: id, received (a datetime or None), from, address (of the author), subject, size (bytes;
        None where the wire does not tell it), flags, message_id.
        """
        page: dict[str, Any] = {"limit": limit, "after": after}
        found = await (self.search(text, folder, **page) if text else self.list(folder, **page))
        return [_line(each, sized=self._store.features.sizes) for each in found]

    @_alone
    async def read(self, id: str, folder: str = "INBOX") -> Content:
        """The exact bytes of a message; discard the content when done.  It stays unseen.

        Raises NotThere.
        """
        await _open(self._store, folder, read_only=True)
        if not id:
            raise _gone([id], folder)
        found: list[Content] = []
        async for batch in self._store.fetch([id], self._spool):  # to its end: it is a pipeline
            found += [fetched.content for fetched in batch if fetched.content is not None]
        if not found:
            raise _gone([id], folder)
        return found[0]

    async def read_message(self, id: str, folder: str = "INBOX") -> Message:
        """The message, parsed.  Raises NotThere."""
        content = await self.read(id, folder)
        try:
            return Message(content.bytes())
        finally:
            content.discard()

    @_alone
    async def check_there(self, ids: Sequence[str], folder: str = "INBOX") -> None:
        """Raise NotThere, with those that are not there, unless all of these messages are."""
        await _open(self._store, folder, read_only=True)
        await _check_there(self._store, ids, folder)

    @_alone
    async def save(self, ids: Sequence[str], directory: Path, folder: str = "INBOX") -> _Paths:
        """Write the exact bytes of each message to ``ID.eml`` in a directory; nothing there is
        overwritten.  Raises NotThere before one is written, or after the others are for what went
        meanwhile.
        """
        await _open(self._store, folder, read_only=True)
        await _check_there(self._store, ids, folder)
        written: _Paths = []
        missing: _Ids = []
        async for batch in self._store.fetch(list(ids), self._spool):
            for fetched in batch:
                if fetched.content is None:
                    missing.append(fetched.id)
                    continue
                try:
                    name = f"{safe_name(fetched.id)}.eml"
                    written.append(write_new(directory, name, chunks(fetched.content)))
                finally:
                    fetched.content.discard()
        if missing:
            raise _gone(missing, folder)
        return written

    async def save_attachments(self, id: str, directory: Path, folder: str = "INBOX") -> _Paths:
        """Write the attachments of a message under safe names; nothing there is overwritten."""
        return write_attachments(directory, await self.read_message(id, folder))

    # ------------------------------------------------------------------ changing

    @_alone
    async def move(
        self, ids: Sequence[str], to: str, folder: str = "INBOX", *, create: bool = False
    ) -> dict[str, str]:
        """Move messages to another folder; gives the new id of each where the server tells."""
        await _open_to_change(self._store, ids, folder, to=to, create=create)
        with _to_be_made(create):
            return await self._store.move(list(ids), to)

    @_alone
    async def copy(
        self, ids: Sequence[str], to: str, folder: str = "INBOX", *, create: bool = False
    ) -> dict[str, str]:
        """Copy messages to another folder; gives the new id of each where the server tells."""
        await _open_to_change(self._store, ids, folder, to=to, create=create)
        with _to_be_made(create):
            return await self._store.copy(list(ids), to)

    @_alone
    async def flag(
        self,
        ids: Sequence[str],
        folder: str = "INBOX",
        *,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
    ) -> None:
        """Set and clear flags: seen, answered, flagged, deleted, draft, and keywords."""
        if not self._store.features.flags:
            raise _not_supported("This wire (POP3) has no flags.")
        for name in (*add, *remove):
            if not name.isascii() or not name.isprintable() or set(name) & set(' (){%*"\\]'):
                raise InvalidValue("flag", f"use one of {', '.join(FLAGS)}, or a plain keyword")
        await _open_to_change(self._store, ids, folder)
        await self._store.flag(list(ids), add=list(add), remove=list(remove))

    @_alone
    async def append(self, message: bytes, to: str, *, flags: Sequence[str] = ()) -> None:
        """Put a message into a folder (a name, or a special use such as ``\\Sent``).

        Raises FolderError(``folder_missing``, ``over_quota``).
        """
        if not self._store.features.append:
            raise _not_supported(
                "This wire can put no message into a folder: POP3 knows none, and Microsoft Graph "
                "would make a draft of it."
            )
        await self._store.append(to, message, flags=list(flags))

    @_alone
    async def delete(self, ids: Sequence[str], folder: str = "INBOX") -> Deleted:
        """Delete exactly these messages.  On POP3 they are gone once the mailbox is closed."""
        await _open_to_change(self._store, ids, folder)
        return Deleted(len(ids), await self._store.delete(list(ids)))


async def _open_to_change(
    store: MessageStore,
    ids: Sequence[str],
    folder: str,
    *,
    to: str = "",
    create: bool = False,
) -> None:
    """Everything that may speak against a change, before the first one is made."""
    if to and not store.features.folders:
        raise _not_supported("This wire (POP3) has no folders to move or copy to.")
    _check_folder(store, folder)
    if to and create:
        await store.create(to)
    await _open(store, folder, read_only=False)
    await _check_there(store, ids, folder)


async def _check_there(store: MessageStore, ids: Sequence[str], folder: str) -> None:
    there = {summary.id for summary in await store.summaries(list(ids))}
    if missing := [one for one in ids if one not in there]:
        raise _gone(missing, folder)


@contextlib.contextmanager
def _to_be_made(create: bool) -> Iterator[None]:
    """A folder to move or copy to that is not there may be made in the same go."""
    try:
        yield
    except FolderError as error:
        if error.code == "folder_missing" and not create:
            error.hint = "Let it be made with --create; in a step, create: true."
        raise


def _check_folder(store: MessageStore, folder: str) -> None:
    if not store.features.folders and folder.upper() != "INBOX":
        raise _not_supported("This wire (POP3) has one folder, INBOX.")


async def _open(store: MessageStore, folder: str, *, read_only: bool) -> None:
    _check_folder(store, folder)
    await store.open(folder, read_only=read_only)


async def _every(store: MessageStore) -> AsyncIterator[Summary]:
    async for page in store.newer(""):
        for summary in page.summaries:
            yield summary


async def _described(store: MessageStore, ids: Sequence[str]) -> list[Summary]:
    """Summaries with headers, newest first."""
    if not ids:
        return []
    found = await store.summaries(list(ids), headers=LISTED_HEADERS)
    return found[::-1]


def _line(summary: Summary, *, sized: bool) -> dict[str, Any]:
    message = Message(summary.headers)
    return {
        "id": summary.id,
        "received": summary.received or message.date,
        "from": ", ".join(each.name or each.address for each in message.from_),
        "address": message.from_[0].address if message.from_ else "",
        "to": ", ".join(each.name or each.address for each in message.to),
        "subject": message.subject,
        "size": summary.size if sized else None,
        "flags": sorted(summary.flags),
        "message_id": message.message_id,
    }


def _gone(ids: Sequence[str], folder: str) -> NotThere:
    return NotThere(
        f"No longer in {folder}, or never there: {', '.join(ids[:5])}"
        f"{' and others' if len(ids) > 5 else ''}.",
        hint="List the folder again.",
        ids=list(ids),
    )


def _not_supported(sentence: str) -> Refused:
    return Refused(sentence, code="not_supported", hint="Use an IMAP connection for it.")
