"""What every verb of the store stands on: the session, the names, and the folder that is open."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from postroom.errors import FolderError
from postroom.protocols.base import FolderState, Limits
from postroom.protocols.imap import commands
from postroom.protocols.imap.commands import Command
from postroom.protocols.imap.names import Naming
from postroom.protocols.imap.refusals import folder_refused
from postroom.protocols.imap.responses import Done, Event, Listed, Namespaces
from postroom.protocols.imap.session import Session, Take
from postroom.protocols.imap.sets import cut

__all__ = ["Opened"]

_ID: Final = re.compile(r"[0-9]+-[0-9]+")  # UIDVALIDITY-UID
_AT_ONCE: Final = 500  # messages in one changing command: its reply has to come in time


class Opened:
    """The base of ``ImapStore``; the file of each group of verbs adds its own."""

    def __init__(self, session: Session, limits: Limits) -> None:
        self._session = session
        self._limits = limits
        self._naming: Naming | None = None
        self._state: FolderState | None = None
        self._prefix = ""  # of the ids of the open folder
        self._uidnext = 0  # 0: not known
        self._counts = 0  # session.counts when uidnext was told
        self._synced = False  # the server was asked for news since the last listing
        self._sizes: dict[int, int] = {}  # what listing told, until the message is fetched

    def _opened(self) -> FolderState:
        if self._state is None:
            raise FolderError("No folder is open.", code="folder_missing", hint="Open one first.")
        return self._state

    def _changeable(self) -> FolderState:
        """The open folder, if it may be changed: Dovecot answers OK to a change it ignores."""
        state = self._opened()
        if state.read_only:
            raise FolderError(
                f"The folder {state.name} is open for reading only.",
                code="read_only",
                hint="Open it with read_only=False, or use an account that may change it.",
            )
        return state

    def _still(self, state: FolderState) -> None:
        """Raises FolderError when another folder was opened since: its uids are other messages."""
        if self._state is not state:
            raise FolderError(
                f"The folder {state.name} was left before it was read to its end.",
                code="refused",
                hint="Use a connection of its own for the other folder.",
            )

    def _uids(self, ids: Sequence[str]) -> list[int]:
        """The uids of these ids.  Raises FolderError for an id of another folder or UIDVALIDITY."""
        state = self._opened()
        prefix = self._prefix
        start = len(prefix)
        uids = [int(k[start:]) for k in ids if k.startswith(prefix) and k[start:].isdecimal()]
        strange = [k for k in ids if not _ID.fullmatch(k)]
        if strange:
            raise FolderError(
                f"{strange[0]!r} is not a message id; ids of {state.name} look like {prefix}1.",
                code="not_found",
                hint="List the folder: the id of each message stands first.",
                ids=strange,
            )
        if len(uids) != len(ids):
            raise FolderError(
                f"Some of these ids are not of the folder {state.name} as it is now "
                f"(UIDVALIDITY {state.uidvalidity}).",
                code="not_found",
                hint="List the folder again: the server may have made it anew.",
                ids=[k for k in ids if not k.startswith(prefix)],
            )
        return uids

    async def _names(self) -> Naming:
        """How this server names folders; asked once, one round trip."""
        if self._naming is None:
            session = self._session
            spaces: list[Namespaces] = []
            roots: list[Listed] = []

            def take(event: Event) -> bool:
                if isinstance(event, Namespaces):
                    spaces.append(event)
                elif isinstance(event, Listed):
                    roots.append(event)
                return isinstance(event, (Namespaces, Listed))

            if session.can("NAMESPACE"):
                session.send(commands.plain("NAMESPACE"), take)
            await self._ok(commands.list_folders(b""), "the list of folders", take)
            prefix, separator = b"", roots[0].separator if roots else "/"
            if spaces and spaces[0].personal:
                prefix, separator = spaces[0].personal[0]
            foreign = tuple(name for name, _ in spaces[0].foreign if name) if spaces else ()
            while not session.extensions.answered:
                await session.step()
            self._naming = Naming(separator, prefix, foreign, "UTF8=ACCEPT" in session.extensions)
        return self._naming

    async def _wire_name(self, folder: str) -> bytes:
        """The server's spelling; INBOX needs no question."""
        if folder.upper() == "INBOX":
            return b"INBOX"
        return (await self._names()).to_wire(folder)

    async def _ok(
        self, command: Command, folder: str, take: Take | None = None, *, missing: bool = False
    ) -> Done:
        """Run a command about a folder.  Raises FolderError unless it is done."""
        done = await self._session.run(command, take)
        if done.state != "OK":
            raise folder_refused(self._session, done, folder, missing=missing)
        return done

    async def _each(
        self,
        uids: Sequence[int],
        make: Callable[[str], Command],
        folder: str,
        take: Take | None = None,
    ) -> list[Done]:
        """The same command for every portion of the uids, pipelined.  Raises FolderError."""
        session = self._session
        flight = [session.send(make(portion), take) for portion in _portions(uids)]
        replies = [await session.finish(pending) for pending in flight]
        for done in replies:
            if done.state != "OK":
                raise folder_refused(session, done, folder)
        return replies


def _portions(uids: Sequence[int]) -> Iterator[str]:
    for start in range(0, len(uids), _AT_ONCE):
        yield from cut(uids[start : start + _AT_ONCE])
